"""radbroker: an HL7-DICOM broker. Start with app.py (what is wired to what) and docs/architecture.md."""
