"""What `geoseg.convert.restore` is made of."""
