"""Alembic's revisions of the tables, run by schema.py when a database is not at the newest one.

One file a revision in versions/; a revision that has been released is never changed.
"""
