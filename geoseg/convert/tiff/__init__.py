"""A quick reader for the plain TIFFs that data sets of patches are made of; all others are GDAL's."""
