"""What a host's noise hides from a gate: scatter between runs, and the effects that are larger than it."""
