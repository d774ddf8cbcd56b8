"""The mapping language: YAML files that say which HL7 field becomes which DICOM attribute, and back.

Pure: files come in as names and bytes, messages as hl7.message; imports hl7, domain and (in types) pydicom's dictionary.
The walk of a file: yamlfile -> parse (by spec and expr) -> link -> compile -> engine or outbound. Start with catalogue.py.
"""
