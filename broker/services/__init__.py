"""Use cases: intake of messages, the worklist, performed steps, studies, notices.

They speak to ports and to the core only. Start with intake.py, then follow the order through performed.py, studies.py
and notices.py.
"""
