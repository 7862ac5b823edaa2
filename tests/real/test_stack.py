"""Sentinel-1 and -2 patches of mixed resolution and grids as one stack."""

from __future__ import annotations

import numpy as np
import rasterio
from rasterio.vrt import WarpedVRT

from geoseg.sources.stack import StackSource


def test_sentinel_2_bands_of_three_resolutions_lie_on_the_finest_grid(data_folder):
    patch = next((data_folder / "rico" / "BigEarthNet" / "BigEarthNet-S2").glob("*/*"))
    uris = sorted(str(path) for path in patch.glob("*_B*.tif"))
    like = next(i for i, uri in enumerate(uris) if uri.endswith("_B02.tif"))
    stack = StackSource(sources=uris, like=like, resampling="nearest")
    chip = stack.read(stack.grid.whole)

    assert chip.valid.all()
    assert stack.band_names == tuple(str(i + 1) for i in range(len(uris)))
    sizes = set()
    for band, uri in zip(chip.data, uris, strict=True):
        with rasterio.open(uri) as file:
            times = 120 // file.height
            sizes.add(file.height)
            np.testing.assert_array_equal(band, file.read(1).repeat(times, 0).repeat(times, 1))
    assert sizes == {20, 60, 120}
    stack.check()


def test_radar_lies_under_optics_where_gdal_puts_it(data_folder):
    folder = data_folder / "rico" / "SSL4EO-S12"
    optics = next(folder.glob("s2c/*/*/B2.tif"))
    coarse, radar = optics.with_name("B1.tif"), next(folder.glob("s1/*/*/VH.tif"))
    stack = StackSource(sources=(str(optics), str(coarse), str(radar)), resampling="nearest")
    chip = stack.read(stack.grid.whole)

    assert chip.data.dtype == np.float32
    assert 0.9 < chip.valid.mean() < 1
    grid = stack.grid
    place = {"crs": grid.crs, "transform": grid.transform, "height": 264, "width": 264}
    for band, path in zip(chip.data, (optics, coarse, radar), strict=True):
        with rasterio.open(path) as file, WarpedVRT(file, **place, add_alpha=True) as warped:
            expected = warped.read(1).astype(np.float32)
        same = (band == expected)[chip.valid]
        assert same.mean() > 0.999, path  # GDAL's own places are off by up to 0.125 px
    stack.check()
