"""HL7 v2 as text: framing, reading, writing, paths, character sets, acknowledgements, names and types of fields.

Pure: bytes and text in, values out; imports the standard library, broker.errors and (inside dictionary) hl7apy.
Start with message.py, then the walk of one message: framing -> charset -> message -> ack.
"""
