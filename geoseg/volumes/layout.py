"""Folders of a zip that geoseg writes."""

from __future__ import annotations

IMAGES = "images/"
"""Of the images, one a row."""
SCORES = "scores/"
"""Of the probabilities, one a row that has some; no other reader of the layout looks for them."""
