"""The examples, run for real against the service."""
