"""Pages of docs/ that are written from the registries: policies, limits, events and scenarios."""
