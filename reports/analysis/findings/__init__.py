"""Findings: mistakes in the settings of proxy, limit and gateway that show in one run directory."""
