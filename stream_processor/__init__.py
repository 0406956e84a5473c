"""From telemetry to advisories, in the stages of ISO 13374."""
