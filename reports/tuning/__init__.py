"""What a search for settings found, and its page."""
