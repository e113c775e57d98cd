"""facetopix: galleries of pixel art in, a documented data set and faces as pixel art out."""
