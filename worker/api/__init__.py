"""The HTTP edge: what providers and citizens' mail programs ask of us."""
