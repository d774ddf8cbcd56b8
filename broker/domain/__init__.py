"""The words a radiographer knows: orders, steps, studies and the rules about them.

Pure: the standard library only, no clock, no sockets, no database. Start with order.py (the values), lifecycle.py
(the state table) and booking.py (what a message does to an order).
"""
