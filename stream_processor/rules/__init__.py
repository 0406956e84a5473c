"""Rules that users write: a versioned, typed file for each class of equipment."""
