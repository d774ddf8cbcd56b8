"""The console and the HTTP API: one route table drives routing, the reading of parameters and the OpenAPI document.

May import services, ports and the core; never store, config, dicom or mllp. Start reading in app.py (how it is put
together) and table.py (every call); routes/ answers, shapes.py writes values as JSON, server.py holds the sockets.
"""
