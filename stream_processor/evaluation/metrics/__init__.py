"""Metrics of detection; each a pure function of scores or flags and labels."""
