"""The event loop of the model, compiled: one event after the other, in the order of their times."""
