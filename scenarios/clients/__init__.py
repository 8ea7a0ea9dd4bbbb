"""The simulated clients: sessions, the clients that drive them, and what they record."""
