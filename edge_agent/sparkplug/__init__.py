"""Sparkplug B 3.0: topics and payloads, without any I/O."""
