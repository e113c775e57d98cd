"""Style transfer by optimisation (Gatys, Ecker, Bethge 2015, arXiv:1508.06576), on free and on constrained canvases."""
