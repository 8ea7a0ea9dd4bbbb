"""Whom the pods of the model turn away, and how."""
