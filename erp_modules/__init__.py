"""The plant's books: one folder a module, all alike."""
