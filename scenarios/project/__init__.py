"""A user's project: what starts its gateway, and the files that make a gate of it."""
