"""Training data from raw layers: align, burn masks, tile, split, check."""
