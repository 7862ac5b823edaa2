"""From rows of class ids to polygons in a file: traced by strips, joined at seams, put on the ground."""
