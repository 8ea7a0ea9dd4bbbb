"""One run, from its scenario to its run directory."""
