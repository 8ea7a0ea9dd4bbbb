"""The history of a gate: change points, and formats for other tools."""
