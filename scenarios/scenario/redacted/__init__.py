"""What may be written down of a scenario's values."""
