"""The proxy in the loop: limits, workers, pods that fail, balance, and TLS handshakes."""
