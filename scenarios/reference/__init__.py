"""The reference of scenario files and results, from the types: JSON Schema, explanations, completion."""
