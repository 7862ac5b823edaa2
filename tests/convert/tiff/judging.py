"""Reading a file through rasterio alone, and comparing."""

from __future__ import annotations

import warnings

import numpy as np
import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from geoseg.convert.images import read_image


def by_rasterio(path, bands=None):
    """(data, crs, transform, nodata) as rasterio gives them; None if it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(path) as file:
                crs = file.crs.to_string() if file.crs else None
                nodata = [file.nodatavals[i - 1] for i in bands or file.indexes]
                return file.read(bands), crs, file.transform, nodata
        except (RasterioError, CPLE_BaseError):
            return None


def same_as_rasterio(path, bands=None):
    """See that both ways of `read_image`, the first of a kind and later ones, give what rasterio gives."""
    data, crs, transform, nodata = by_rasterio(path, bands)
    for _ in range(2):
        image = read_image(path, bands=bands)
        assert image.data.dtype == data.dtype
        assert image.data.shape == data.shape
        assert image.data.tobytes() == data.tobytes()
        assert image.data.flags.c_contiguous
        assert image.data.flags.writeable
        assert image.data.flags.aligned
        assert image.data.dtype.isnative
        assert image.crs == crs
        assert (image.transform or Affine.identity()) == transform
        np.testing.assert_array_equal(np.array(image.nodata, float), np.array(list(nodata), float))
    return image
