"""MQTT out: publishes events. Imports services and the core. Start with carrier.py."""
