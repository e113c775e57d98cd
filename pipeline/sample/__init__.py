"""The procedural sample of the default run: drawings, galleries that serve them, faces."""
