"""The rules for nginx, and how its configuration is read."""
