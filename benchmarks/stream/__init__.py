"""The stream processor at full strength: `make bench-stream`."""
