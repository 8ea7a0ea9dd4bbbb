"""The same storm as a discrete-event model: predicted instead of carried out."""
