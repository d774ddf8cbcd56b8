"""The DICOM upper layer (PS3.8) and DIMSE command sets (PS3.7): bytes in, events out.

Imports the standard library and `broker.errors` alone: no sockets, no clock, no data sets.
Start reading in `association`: the state machine that ties `pdu`, `negotiation` and `dimse` together.
"""
