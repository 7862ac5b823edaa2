"""Masks and images without a defect, for the check; tests plant defects in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from geoseg.sampling.windowindex import WindowIndex

HEIGHT, WIDTH, SIZE = 200, 264, 64
CLASSES = ("ground", "water", "house")
LEVELS = np.array([[60, 90, 120], [150, 60, 90], [100, 170, 30]])


def make_labels(seed, *, height=HEIGHT, width=WIDTH, cells=40):
    """Three classes in cells around random points (Voronoi), with straight boundaries."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, (height, width), (cells, 2))
    rows, cols = np.indices((height, width))
    near = (
        (rows[None] - points[:, 0, None, None]) ** 2 + (cols[None] - points[:, 1, None, None]) ** 2
    ).argmin(0)
    return (np.arange(cells) % 3)[near].astype("uint8")


def make_image(labels, seed):
    """Three bands with a level for each class, and noise."""
    noise = np.random.default_rng(seed + 1000).integers(-12, 13, (3, *labels.shape))
    return (LEVELS[labels].transpose(2, 0, 1) + noise).astype("uint8")


def write(path, array, *, left=500_000.0, cell=0.5, crs="EPSG:32619", top=4_000_000.0, **options):
    bands = array if array.ndim == 3 else array[None]
    count, height, width = bands.shape
    place = {} if crs is None else {"crs": crs, "transform": Affine(cell, 0, left, 0, -cell, top)}
    shape = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", driver="GTiff", **shape, **place, **options) as file:
        file.write(bands)
    return str(path)


def image_of(mask):
    """The image beside a mask."""
    path = Path(mask)
    return str(path.with_name(path.name.replace("mask", "image")))


class Data:
    """Three pairs of 200 x 264 px, 10 km apart; what a test changes it writes again."""

    def __init__(self, folder):
        self.folder = folder
        self.labels = [make_labels(seed) for seed in range(3)]
        self.images = [make_image(labels, seed) for seed, labels in enumerate(self.labels)]

    def mask(self, number):
        return str(self.folder / f"mask{number}.tif")

    def image(self, number):
        return str(self.folder / f"image{number}.tif")

    def write(self, *, image_options=None, mask_options=None):
        for number, (labels, image) in enumerate(zip(self.labels, self.images, strict=True)):
            left = 500_000 + 10_000 * number
            write(self.mask(number), labels, left=left, **(mask_options or {}))
            write(self.image(number), image, left=left, **(image_options or {}))

    def index(self, *, images=True, **how):
        masks = [self.mask(number) for number in range(len(self.labels))]
        index = WindowIndex.build(masks, patch_size=SIZE, **how)
        if not images:
            return index
        paths = [image_of(path) for path in index.mask_paths]
        return index.with_columns({"image_path": paths})

    def row(self, index, number, row, col):
        """The window of a mask that begins there."""
        for i, (path, window) in enumerate(zip(index.mask_paths, index.windows, strict=True)):
            if path == self.mask(number) and (window.row, window.col) == (row, col):
                return i
        raise AssertionError((number, row, col))
