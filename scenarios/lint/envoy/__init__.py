"""The rules for Envoy, and how its configuration is read."""
