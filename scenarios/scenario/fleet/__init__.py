"""The clients of a scenario: their groups, and which client is in which group."""
