"""The pages of the dashboard: templates, texts in two languages, and the files that a browser fetches."""
