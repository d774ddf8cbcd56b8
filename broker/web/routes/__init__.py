"""One module for each noun of the API, and console.py for the pages: from values that were read to an answer.

May import what the web package may; nothing here reads a query string (asked.py does) or knows who asks (guard.py).
"""
