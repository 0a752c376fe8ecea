"""Which topic a message opens: a labelled set, how it is judged, and a table of what was right and wrong."""
