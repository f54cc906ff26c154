"""One module a question that a dashboard asks."""
