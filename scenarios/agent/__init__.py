"""A host agent: starts pods or nginx on its machine, or in its container, for a runner elsewhere."""
