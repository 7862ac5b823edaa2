"""Where a patch lies whose files tell different things, and masks of several bands."""

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from geoseg.convert.convert import convert
from geoseg.convert.layouts.generic import generic
from geoseg.convert.restore import to_geotiff
from geoseg.convert.verify import verify
from geoseg.errors import SourceError
from geoseg.sources.store.manifesttable import read_manifest
from geoseg.sources.store.reader import StoreReader

FINE, COARSE = Affine(10, 0, 5e5, 0, -10, 5e6), Affine(20, 0, 5e5, 0, -20, 5e6)
LAYOUT = generic(images="{key}/{band}.tif", bands=("x", "y"))


def write(path, data, *, crs="EPSG:32633", transform=FINE, driver="GTiff", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = data if data.ndim == 3 else data[None]
    count, height, width = bands.shape
    place = {"crs": crs, "transform": transform} if transform or crs else {}
    place = {name: value for name, value in place.items() if value is not None}
    with rasterio.open(
        path, "w", driver=driver, count=count, height=height, width=width, dtype=bands.dtype,
        **place, **options,
    ) as file:  # fmt: skip
        file.write(bands)


@pytest.fixture
def patch(tmp_path):
    """Writes a patch of a fine band x, 16 x 12, and a coarse band y, 8 x 6; where they lie may be changed."""

    def make(x=None, y=None):
        rng = np.random.default_rng(0)
        for name, shape, place, own in (
            ("x", (16, 12), FINE, x), ("y", (8, 6), COARSE, y),
        ):  # fmt: skip
            data = rng.integers(1, 99, shape).astype("u2")
            path = tmp_path / f"data/a/{name}.tif"
            write(path, data, **({"transform": place} | (own or {})))
        return {"images": str(tmp_path / "data")}

    return make


def row_of(store):
    return read_manifest(store).table.iloc[0]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        ({"transform": None, "crs": None}, None, FINE),
        ({"transform": None}, None, FINE),
        (None, {"transform": None, "crs": None}, FINE),
        ({"crs": None}, None, FINE),
    ],
)
def test_the_place_is_that_of_the_largest_file_that_tells_it_and_others_are_counted(
    patch, tmp_path, x, y, told
):
    sources, store = patch(x, y), str(tmp_path / "store")
    if (x or y).get("transform", 0) is None:
        with pytest.warns(
            UserWarning, match="1 patches have files that do not tell where they lie"
        ):
            convert(LAYOUT, sources, store, workers=0)
    else:
        convert(LAYOUT, sources, store, workers=0)
    row = row_of(store)
    assert (row["crs"], row["transform"]) == ("EPSG:32633", tuple(told)[:6])
    assert row["bounds"] == (5e5, 5e6 - 160, 5e5 + 120, 5e6)
    found = verify(store, sources)
    assert found.ok, found.errors


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_crs_without_a_transform_is_no_place_and_counted(patch, tmp_path):
    sources, store = patch({"transform": None}, {"transform": None}), str(tmp_path / "store")
    with pytest.warns(UserWarning, match="a CRS without a transform, which is left out"):
        convert(LAYOUT, sources, store, workers=0)
    assert (row_of(store)["crs"], row_of(store)["transform"]) == (None, None)
    assert verify(store, sources).ok


@pytest.mark.parametrize(
    ("y", "told"),
    [
        ({"transform": Affine(0, 20, 5e5, -20, 0, 5e6)}, "its corners lie"),
        ({"transform": Affine(-20, 0, 5e5 + 120, 0, -20, 5e6)}, "its corners lie 6 pixels"),
        ({"transform": Affine(20, 0, 5e5 + 11, 0, -20, 5e6)}, "its corners lie 0.55 pixels"),
        ({"crs": "EPSG:32634"}, "its CRS is EPSG:32634, that of .*x.tif EPSG:32633"),
    ],
)
def test_a_band_that_lies_elsewhere_is_an_error(patch, tmp_path, y, told):
    with pytest.raises(SourceError, match=rf"y\.tif: {told}"):
        convert(LAYOUT, patch(y=y), str(tmp_path / "store"), workers=0)


def test_a_band_half_a_pixel_away_is_taken(patch, tmp_path):
    sources = patch(y={"transform": Affine(20, 0, 5e5 + 10, 0, -20, 5e6)})
    convert(LAYOUT, sources, str(tmp_path / "store"), workers=0)
    assert verify(str(tmp_path / "store"), sources).ok


@pytest.mark.parametrize(
    "y",
    [
        {"transform": Affine(0, 20, 5e5, -20, 0, 5e6)},
        {"transform": Affine(20, 0, 5e5, 0, -20, 5e6 + 30)},
        {"crs": "EPSG:32634"},
    ],
)
def test_an_original_that_lies_elsewhere_than_the_largest_is_a_fault(patch, tmp_path, y):
    store = str(tmp_path / "store")
    convert(LAYOUT, patch(), store, workers=0)
    found = verify(store, patch(y=y))
    assert found.faults == {"place": 1}
    assert (found.errors[0].key, found.errors[0].tensor) == ("a", "y")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_files_come_back_on_the_ground_that_the_smaller_one_told(patch, tmp_path):
    sources = patch({"transform": None, "crs": None})
    with pytest.warns(UserWarning, match="do not tell where they lie"):
        convert(LAYOUT, sources, str(tmp_path / "store"), workers=0)
    to_geotiff(str(tmp_path / "store"), str(tmp_path / "back"))
    for name, place in (("x", FINE), ("y", COARSE)):
        with rasterio.open(tmp_path / f"back/a/{name}.tif") as file:
            assert (file.crs, file.transform) == ("EPSG:32633", place)


@pytest.fixture
def masks(tmp_path):
    """Writes images a and b with masks as PNG, that of b of `count` bands."""

    def make(count):
        for key, bands in (("a", 1), ("b", count)):
            write(tmp_path / f"data/i/{key}.tif", np.ones((3, 8, 6), "u1"))
            ids = np.full((bands, 8, 6), 2, "u1")
            with pytest.warns(NotGeoreferencedWarning):
                write(
                    tmp_path / f"data/m/{key}.png",
                    ids,
                    crs=None,
                    transform=None,
                    driver="PNG",
                )
        return {"images": str(tmp_path / "data")}

    return make


MASKED = generic(images="i/{key}.tif", masks="m/{key}.png", bands=("r", "g", "b"))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_mask_of_several_bands_is_an_error_that_may_be_skipped(masks, tmp_path, count):
    sources, store = masks(count), str(tmp_path / "store")
    with pytest.raises(SourceError, match=rf"m/b\.png: this mask has {count} bands, expected one"):
        convert(MASKED, sources, store, workers=0)
    done = convert(MASKED, sources, store, workers=0, on_error="skip")
    assert [key for key, _ in done.skipped] == ["b"]
    assert list(StoreReader(store)) == ["a"]


def test_a_mask_that_has_several_bands_now_is_a_fault(masks, tmp_path):
    store = str(tmp_path / "store")
    convert(MASKED, masks(1), store, workers=0)
    found = verify(store, masks(3))
    assert found.faults == {"file": 1}
    assert "this mask has 3 bands" in found.errors[0].text
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_mask_of_numbers_of_a_palette_is_taken(masks, tmp_path):
    sources, store = masks(1), str(tmp_path / "store")
    place = {"driver": "PNG", "count": 1, "height": 8, "width": 6, "dtype": "uint8"}
    with pytest.warns(NotGeoreferencedWarning):
        file = rasterio.open(tmp_path / "data/m/b.png", "w", **place)
    with file:
        file.write_colormap(1, {0: (0, 0, 0), 3: (255, 0, 0)})
        file.write(np.full((1, 8, 6), 3, "u1"))
    convert(MASKED, sources, store, workers=0)
    assert (StoreReader(store).read("b")["mask"] == 3).all()
    assert verify(store, sources).ok
