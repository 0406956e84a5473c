"""The plant behind real protocols, so that drivers meet real servers."""
