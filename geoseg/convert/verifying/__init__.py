"""What `geoseg.convert.verify` is made of."""
