"""Messages the flow set aside: known by an index, inspected, fixed, replayed, discarded."""
