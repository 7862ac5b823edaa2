"""Files that are not what their layout says: bands, formats, folders under a file's name, masks of another size."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine

from geoseg.convert.convert import convert
from geoseg.convert.layouts import layout_of
from geoseg.convert.layouts.generic import generic
from geoseg.convert.patches import find_patches, missing_files
from geoseg.errors import ConfigError, SourceError
from tests.convert.killing import raw
from tests.convert.making import S1, S2, radar

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
PLACE = Affine(10, 0, 3e5, 0, -10, 59e5)


def picture(path, bands=1, *, size=(16, 24), driver="GTiff", names=(), place=None):
    """A picture by rasterio; (bands, height, width) of what was drawn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.arange(bands * size[0] * size[1]).reshape(bands, *size).astype("u1")
    georeference = {} if place is None else {"crs": "EPSG:32633", "transform": place}
    with rasterio.open(
        path,
        "w",
        driver=driver,
        count=bands,
        height=size[0],
        width=size[1],
        dtype="uint8",
        **georeference,
    ) as file:
        file.write(data)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
    return data


def converted(layout, folder, *, group="images", **options):
    store = str(Path(folder).parent / "store")
    convert(layout, {group: str(folder)}, store, workers=0, **options)
    return raw(store)


# Bands


@pytest.mark.parametrize("bands", [2, 4])
def test_a_file_of_more_or_fewer_bands_than_the_layout_says_is_refused(tmp_path, bands):
    picture(tmp_path / "data/forest/forest00.tif", bands)
    with pytest.raises(SourceError, match=rf"forest00.tif: number of bands: {bands}, expected 3"):
        converted("uc-merced", tmp_path / "data")
    assert not (tmp_path / "store").exists()


def test_a_map_of_three_bands_is_no_reference_map(tmp_path):
    picture(tmp_path / f"data/{S2}_1_2_reference_map.tif", 3)
    with pytest.raises(SourceError, match="number of bands: 3, expected 1"):
        converted("bigearthnet", tmp_path / "data", group="map")


def test_a_file_of_a_band_has_one_band_also_where_the_user_names_bands(tmp_path):
    for band in ("red", "nir"):
        picture(tmp_path / f"data/a_{band}.tif", 3 if band == "nir" else 1)
    layout = generic(images="{key}_{band}.tif", bands=("red", "nir"))
    told = r"a_nir\.tif: number of bands: 3, expected 1, as each band has its own file; write one"
    with pytest.raises(SourceError, match=told):
        converted(layout, tmp_path / "data")


def test_a_user_may_name_the_first_bands_alone(tmp_path):
    drawn = picture(tmp_path / "data/a.tif", 4, place=PLACE)
    (value,) = converted(generic(bands=("red", "green")), tmp_path / "data").values()

    assert value.endswith(drawn[1::-1].tobytes())  # by name


def test_one_text_is_no_list_of_bands():
    with pytest.raises(ConfigError, match=r"bands is 'RGB', expected a list of names"):
        generic(bands="RGB")


# Formats


@pytest.mark.parametrize(("driver", "bands"), [("JPEG", 1), ("PNG", 1), ("JPEG", 3)])
def test_a_picture_under_the_name_of_a_tiff_is_no_band(tmp_path, driver, bands):
    radar(tmp_path / "data", [0])
    path = min((tmp_path / "data").rglob("*_VV.tif"))
    picture(path, bands, size=(5, 7), driver=driver)
    with pytest.raises(SourceError, match=rf"_VV.tif: (holds {driver}|number of bands: 3)"):
        converted("bigearthnet", tmp_path / "data", group="s1")


def test_a_tiff_under_the_name_of_a_jpeg_is_refused_where_that_was_asked_for(tmp_path):
    picture(tmp_path / "data/Forest_1.jpg", 3)
    with pytest.raises(SourceError, match=r"holds GTiff, and not what its ending \.jpg says"):
        converted("eurosat-rgb", tmp_path / "data")
    with pytest.raises(SourceError, match=r"holds GTiff, and not what its ending \.jpg says"):
        converted(generic(images="{key}.jpg"), tmp_path / "data")


def test_where_any_picture_was_asked_for_its_ending_may_be_that_of_another(tmp_path):
    drawn = picture(tmp_path / "data/a.jpg", driver="PNG")
    (value,) = converted(generic(), tmp_path / "data").values()

    assert value.endswith(drawn.tobytes())


def test_a_mask_under_the_ending_of_another_format_is_refused(tmp_path):
    picture(tmp_path / "data/i/a.tif")
    picture(tmp_path / "data/m/a.png")
    with pytest.raises(SourceError, match=r"m/a\.png: holds GTiff"):
        converted(generic(images="i/{key}.tif", masks="m/{key}.png"), tmp_path / "data")


def test_a_free_ending_of_images_says_nothing_of_masks_nor_theirs_of_images(tmp_path):
    drawn = picture(tmp_path / "data/i/a.png", driver="JPEG")
    with rasterio.open(tmp_path / "data/i/a.png") as file:
        read = file.read()
    mask = picture(tmp_path / "data/m/a.png", driver="PNG")
    (value,) = converted(
        generic(images="i/{key}.*", masks="m/{key}.png"), tmp_path / "data"
    ).values()
    picture(tmp_path / "data/i/a.png", driver="PNG")
    (tmp_path / "data/m/a.png").unlink()
    picture(tmp_path / "data/m/a.png", driver="GTiff")
    again = tmp_path / "again"
    convert(
        generic(images="i/{key}.png", masks="m/{key}.*"),
        {"images": str(tmp_path / "data")},
        str(again),
        workers=0,
    )

    assert read.tobytes() in value
    assert mask.tobytes() in value
    assert drawn.tobytes() in next(iter(raw(again).values()))


def test_who_asked_for_an_ending_is_told_how_to_take_files_as_they_are(tmp_path):
    drawn = picture(tmp_path / "data/a.png", driver="JPEG")
    with pytest.raises(SourceError, match=r"a pattern of your own that ends in \.\* takes it"):
        converted(generic(images="{key}.png"), tmp_path / "data")
    assert len(converted(generic(images="{key}.*"), tmp_path / "data")) == len(drawn)


def test_a_file_of_a_band_is_told_no_pattern_with_a_star_which_it_cannot_have(tmp_path):
    picture(tmp_path / "data/a_red.tif", driver="PNG")
    with pytest.raises(SourceError, match=r"a_red\.tif: holds PNG.*look for that; mend it"):
        converted(generic(images="{key}_{band}.tif", bands=("red",)), tmp_path / "data")


def test_a_list_of_other_files_under_the_name_of_a_tiff_is_refused_anywhere(tmp_path):
    picture(tmp_path / "a.tif")
    (tmp_path / "data").mkdir()
    with rasterio.open(tmp_path / "a.tif") as file:
        rasterio.shutil.copy(file, tmp_path / "data/b.vrt", driver="VRT")
    (tmp_path / "data/b.vrt").rename(tmp_path / "data/b.tif")
    with pytest.raises(SourceError, match=r"b\.tif: holds VRT"):
        converted(generic(), tmp_path / "data")


def test_a_folder_under_the_name_of_a_file_is_a_missing_file(tmp_path):
    radar(tmp_path / "data", [0])
    path = min((tmp_path / "data").rglob("*_VV.tif"))
    path.unlink()
    path.mkdir()
    layout = layout_of("bigearthnet")
    (found,) = missing_files(layout, find_patches(layout, {"s1": str(tmp_path / "data")}))

    assert found.files == (str(path),)
    assert S1 in found.describe()


# A band called mask


def test_a_band_called_mask_is_refused_beside_a_mask(tmp_path):
    picture(tmp_path / "data/i/a.tif", 2, names=("red", "mask"))
    picture(tmp_path / "data/m/a.tif")
    (tmp_path / "data/t.csv").write_text("image,mask\ni/a.tif,m/a.tif\n")
    by_table = str(tmp_path / "data/t.csv")
    told = "a band cannot be called 'mask' beside a mask file"

    with pytest.raises(ConfigError, match=told):
        converted(generic(csv=by_table), tmp_path / "data")
    with pytest.raises(ConfigError, match=told):
        converted(generic(csv=by_table, bands=("red", "mask")), tmp_path / "data")
    with pytest.raises(ConfigError, match=told):
        converted(generic(images="i/{key}.tif", masks="m/{key}.tif"), tmp_path / "data")
    with pytest.raises(ConfigError, match=told):
        generic(images="i/{key}.tif", masks="m/{key}.tif", bands=("red", "mask"))
    assert not (tmp_path / "store").exists()


# Masks of another size

MASKED = generic(images="i/{key}.tif", masks="m/{key}.tif")


@pytest.mark.parametrize("size", [(20, 32), (32, 20), (24, 24), (16, 32), (48, 48), (64, 96)])
@pytest.mark.parametrize("placed", [False, True])
def test_a_mask_that_fits_its_image_by_no_whole_factor_is_refused(tmp_path, size, placed):
    picture(tmp_path / "data/i/a.tif", size=(32, 32), place=PLACE if placed else None)
    picture(tmp_path / "data/m/a.tif", size=size)
    with pytest.raises(SourceError, match=rf"m/a.tif: this mask has {size[0]} x {size[1]} pixels"):
        converted(MASKED, tmp_path / "data")


@pytest.mark.parametrize("size", [(32, 48), (16, 24), (8, 12), (96, 144)])
def test_a_mask_that_is_finer_or_coarser_by_a_whole_factor_is_taken(tmp_path, size):
    picture(tmp_path / "data/i/a.tif", size=(32, 48))
    drawn = picture(tmp_path / "data/m/a.tif", size=size)
    (value,) = converted(MASKED, tmp_path / "data").values()

    assert drawn.tobytes() in value


def test_a_mask_with_a_place_may_have_any_size_of_the_same_ground(tmp_path):
    picture(tmp_path / "data/i/a.tif", size=(32, 48), place=PLACE)
    drawn = picture(tmp_path / "data/m/a.tif", size=(20, 30), place=PLACE @ Affine.scale(1.6))
    (value,) = converted(MASKED, tmp_path / "data").values()

    assert drawn.tobytes() in value


def test_a_mask_is_compared_with_the_largest_band(tmp_path):
    for band, size in (("B02", (12, 18)), ("B05", (6, 9)), ("B01", (2, 3))):
        picture(tmp_path / f"data/i/a_{band}.tif", size=size)
    drawn = picture(tmp_path / "data/m/a.tif", size=(4, 6))
    layout = generic(images="i/{key}_{band}.tif", masks="m/{key}.tif", bands=("B01", "B02", "B05"))
    (value,) = converted(layout, tmp_path / "data").values()

    assert drawn.tobytes() in value
