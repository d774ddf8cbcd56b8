"""A simulated hospital over real sockets: a HIS, a CT, an MR, an US, an archive, a RIS; for the demo and for trying things out.

May import adapters and the composition root. Start with hospital.py; the day itself is in cases.py.
"""
