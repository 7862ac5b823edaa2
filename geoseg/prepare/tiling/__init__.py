"""Pairs of image and mask cut out of large ones: what `export` and `tile` share."""
