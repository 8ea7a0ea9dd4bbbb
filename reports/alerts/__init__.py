"""Alert rules for Prometheus, and when they would have fired in a run."""
