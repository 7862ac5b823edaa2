"""What `geoseg.convert.scenes` is made of."""
