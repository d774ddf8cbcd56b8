"""DICOM on the network: the sockets around `broker.ul`, data sets, and the services that the broker offers and uses.

May import services, ports and the core; never another adapter.
Start reading in `server` (associations that others open) or `client` (those that the broker opens); handlers see `service`.
"""
