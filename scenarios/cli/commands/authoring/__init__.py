"""Commands that help to write files."""
