"""A simulated hospital over real sockets: a HIS, scanners, an archive, a RIS; for the demo and for trying things out.

May import adapters and the composition root. Start with hospital.py.
"""
