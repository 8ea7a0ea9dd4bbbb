"""The runs of a gate: this version and another one, in turn."""
