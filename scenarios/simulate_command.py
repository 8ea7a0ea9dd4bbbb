"""The command that predicts runs instead of carrying them out."""
