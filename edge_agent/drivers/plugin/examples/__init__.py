"""Drivers to begin one of your own with."""
