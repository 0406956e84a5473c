"""The demo: a plant that fails before your eyes."""
