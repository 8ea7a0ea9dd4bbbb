"""Connection limits by name, and the rules of the proxies that enforce them."""
