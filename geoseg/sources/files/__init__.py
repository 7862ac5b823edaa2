"""Raster files from the inside: headers, pixels, overviews, servers, and writing them whole."""
