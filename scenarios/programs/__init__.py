"""Programs of the user's own: how they are started, asked, measured and ended."""
