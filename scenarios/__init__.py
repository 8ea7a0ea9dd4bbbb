"""What we try, and the machinery that tries it."""
