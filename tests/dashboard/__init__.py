"""The dashboard, asked over HTTP."""
