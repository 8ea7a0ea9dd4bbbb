"""Numbers, tables and templates as text."""
