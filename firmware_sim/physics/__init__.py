"""The building blocks of the machines: formulas, each with its source."""
