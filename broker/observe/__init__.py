"""What the broker says about itself: log lines without patient data, and counters for Prometheus.

May import the core; no other adapter. Start reading in logging.py; metrics.py holds every counter.
"""
