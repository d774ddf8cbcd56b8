"""The command line: one file per verb, imported only when its verb is used.

May import anything, app included. Start reading in main.py; output.py prints, connection.py talks to the running broker.
"""
