"""What the load generator itself can do."""
