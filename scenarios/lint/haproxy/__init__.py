"""The rules for HAProxy, and how its configuration is read."""
