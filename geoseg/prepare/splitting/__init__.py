"""Windows dealt into training, validation and test by blocks of ground, with a gap between them."""
