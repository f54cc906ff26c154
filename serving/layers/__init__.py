"""What every request passes on its way in, outermost first: edge and browsers, traces, moved, access, cache and direct, limits."""
