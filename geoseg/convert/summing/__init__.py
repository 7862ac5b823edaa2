"""What `geoseg.convert.summary` is made of."""
