"""Stock clients: how the client libraries of production reconnect, with their own options and defaults."""
