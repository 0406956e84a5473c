"""Where readings come from: one folder a protocol."""
