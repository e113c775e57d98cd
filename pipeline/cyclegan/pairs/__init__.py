"""Pairs that the art itself gives: native artworks, and smooth versions of them for a generator to draw."""
