"""A bridge between a plant's own MQTT broker and the log."""
