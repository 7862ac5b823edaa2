"""What evaluation measures, one file a measure: boundaries, objects, areas, intervals, errors as a map."""
