"""Batches on the agent's disk, until the cloud has their effects."""
