"""Who is calling: people with passwords and sessions, processes with tokens."""
