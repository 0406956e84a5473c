"""Parts, stock, reservations and requisitions: what a ticket needs, and what must be bought."""
