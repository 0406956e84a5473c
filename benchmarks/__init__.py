"""Ratios against peers, each in one run; never a pass mark."""
