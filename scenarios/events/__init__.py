"""Things that happen in the middle of a run: faults, and what people do about them."""
