"""The system under test: one process is one gateway pod."""
