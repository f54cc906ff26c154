"""A run of the graph that was asked for as a demo -> a record of what it was asked for, made and came to."""
