"""Processes on a host: started, pinned to cores, metered, and ended."""
