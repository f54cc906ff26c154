"""What every request passes on its way in, outermost first: browsers, edge, moved, access, cache, limits."""
