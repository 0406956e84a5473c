"""The running flow: what its processes say of themselves, as rates, to whoever may see it."""
