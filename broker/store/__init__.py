"""The order book on disk: SQLAlchemy Core on SQLite (PostgreSQL by the same code). The only place with SQL.

Aggregates are kept whole as JSON documents beside the columns that are searched. Imports ports and domain.
Start with store.py (the facade), then kinds.py (what is kept where), held.py and writer.py (how jobs run).
"""
