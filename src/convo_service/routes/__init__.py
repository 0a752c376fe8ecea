"""The HTTP layer: parse, call one thing, return."""
