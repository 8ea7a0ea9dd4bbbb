"""Credentials that a function or a program of the user's own issues: questions, answers, placeholders."""
