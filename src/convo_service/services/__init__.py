"""Use cases and their queries."""
