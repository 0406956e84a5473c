"""Equipment, alarms and tickets: what a plant does about what its machines say."""
