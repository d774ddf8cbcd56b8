"""What a site writes down: the configuration file, its environment overrides, and every problem in it at once.

May import the core; no other adapter. Start reading in load.py; model.py says what may be written.
"""
