"""Known values injected into the whole chain, and checked in its results."""
