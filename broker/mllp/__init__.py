"""MLLP over sockets: the server that takes messages in, the client that sends them out.

May import hl7, ports, errors and asyncio; gets its own frozen settings. Start with server.py, then connection.py.
"""
