"""Features from the inside: frames of geometries, local metres, pixels of a grid, and their transforms."""
