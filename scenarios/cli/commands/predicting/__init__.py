"""Commands that predict without playing."""
