"""Rerun a range of the log through other rules, beside the live flow and without effects."""
