"""The costs of one gateway: CPU per handshake, tick and close, memory, and its accept queue."""
