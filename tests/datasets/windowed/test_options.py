"""Arguments of the data sets: wrong ones are told at once, and paths do not move with the working directory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from geoseg.datasets import (
    CSVWindowedSegmentationDataset,
    MBTilesMaskWindowedDataset,
    RasterPatchDataset,
)
from geoseg.errors import ConfigError
from geoseg.sampling import WindowIndex


@pytest.fixture
def folder(tmp_path, write_raster):
    """images/a.tif and masks/a.tif of 8 x 12 pixels."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    write_raster("images/a.tif", rng.integers(1, 99, (3, 8, 12)).astype(np.uint8))
    write_raster("masks/a.tif", rng.integers(0, 2, (8, 12)).astype(np.uint8))
    return tmp_path


def masked(folder, **options):
    return MBTilesMaskWindowedDataset(
        **{
            "mbtiles_path": folder / "images/a.tif",
            "mask_dir": folder / "masks",
            "patch_size": 4,
            **options,
        }
    )


def patches(folder, **options):
    return RasterPatchDataset(
        folder / "images", folder / "masks", **{"patch_size": 4, "stride": 4, **options}
    )


def rows(folder, **options):
    row = {"image": "images/a.tif", "mask": "masks/a.tif", "row_off": 4, "col_off": 4}
    table = options.pop("df", pd.DataFrame([row | {"patch_size": 4}]))
    return CSVWindowedSegmentationDataset(table, root_dir=folder, **options)


@pytest.mark.parametrize("kind", [masked, patches, rows])
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"n_classes": True}, "n_classes is True, expected a whole number from 1"),
        ({"n_classes": "2"}, "n_classes is '2', expected a whole number from 1"),
        ({"ignore_index": False}, "ignore_index is False, expected a whole number"),
        ({"selected_bands": [True]}, "selected_bands is True, expected a whole number from 1"),
        ({"selected_bands": "1"}, "selected_bands is '1', expected numbers of bands from 1"),
        ({"return_metadata": "no"}, "return_metadata is 'no', expected one of: True, False"),
    ],
)
def test_wrong_values_are_told_with_the_choices(folder, kind, wrong, told):
    with pytest.raises(ConfigError, match=told):
        kind(folder, **wrong)


@pytest.mark.parametrize(
    ("kind", "wrong", "told"),
    [
        (
            masked,
            {"window_index_coordinate_mode": "bbox"},
            "window_index_coordinate_mode is 'bbox', expected one of: auto, pixel, bounds",
        ),
        (masked, {"on_stale": "x"}, "on_stale is 'x', expected one of: rebuild, raise"),
        (masked, {"snap": "yes"}, "snap is 'yes', expected one of: True, False"),
        (masked, {"reproject_bounds": 1}, "reproject_bounds is 1, expected one of: True, False"),
        (masked, {"patch_size": True}, "patch_size is True, expected pixels"),
        (patches, {"stride": (4, True)}, "stride is .4, True., expected pixels"),
        (patches, {"reset_augmentation_function": "no"}, "expected one of: True, False"),
        (rows, {"use_rasterio": "no"}, "use_rasterio is 'no', expected one of: True, False"),
        (rows, {"n_first_rows_to_read": "3"}, "n_first_rows_to_read is '3', expected a whole"),
    ],
)
def test_choices_are_looked_at_though_nothing_needs_them(folder, kind, wrong, told):
    with pytest.raises(ConfigError, match=told):
        kind(folder, **wrong)


def test_a_data_set_with_no_row_left_is_an_error_that_says_why(folder):
    index = WindowIndex.build([str(folder / "masks/a.tif")], patch_size=4)
    out = index.with_columns({"excluded": True})
    with pytest.raises(ConfigError, match="no window to serve: all 6 rows are excluded"):
        masked(folder, window_index_cache=out)
    split = index.with_columns({"split": ["train"] * 5 + ["val"]})
    split = split.with_columns({"excluded": [False] * 5 + [True]})
    told = "no row is of split 'val', there are: train in rows that are not excluded"
    with pytest.raises(ConfigError, match=told):
        masked(folder, window_index_cache=split, split="val")
    with pytest.raises(ConfigError, match="split 'val', there are: none"):
        masked(folder, window_index_cache=index.with_columns({"split": None}), split="val")
    empty = pd.DataFrame(columns=["image", "mask", "row_off", "col_off", "patch_size"])
    told = "the table: there is no window to serve: it has no rows"
    with (
        pytest.warns(UserWarning, match="holds no window"),
        pytest.raises(ConfigError, match=told),
    ):
        rows(folder, df=empty)


@pytest.mark.filterwarnings("ignore:.*are in no window")
@pytest.mark.parametrize("kind", [masked, patches])
def test_masks_that_hold_no_window_are_counted(folder, kind):
    with pytest.warns(UserWarning, match="no window to serve: none of 1 masks holds a whole one"):
        data = kind(folder, patch_size=10, stride=10)
    assert len(data) == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: MBTilesMaskWindowedDataset("images/a.tif", ["masks/a.tif"], patch_size=4),
        lambda: MBTilesMaskWindowedDataset(
            {"type": "geotiff", "uri": "images/a.tif"}, mask_dir="masks", patch_size=4
        ),
        lambda: RasterPatchDataset("images", "masks", patch_size=4, stride=4),
        lambda: CSVWindowedSegmentationDataset("table.csv", image_dtype="uint8"),
        lambda: CSVWindowedSegmentationDataset(df=pd.read_csv("table.csv")),
        lambda: CSVWindowedSegmentationDataset("table.csv", root_dir="."),
    ],
)
def test_another_working_directory_later_does_not_change_what_is_read(
    folder, write_raster, monkeypatch, make
):
    row = {"image": "images/a.tif", "mask": "masks/a.tif", "row_off": 0, "col_off": 0}
    pd.DataFrame([row | {"patch_size": 4}]).to_csv(folder / "table.csv", index=False)
    monkeypatch.chdir(folder)
    data, known = make(), make()[0]
    for name in ("images", "masks"):
        (folder / "other" / name).mkdir(parents=True)
        write_raster(f"other/{name}/a.tif", np.ones((3 if name == "images" else 1, 8, 12), "uint8"))
    monkeypatch.chdir(folder / "other")
    item = data[0]
    assert torch.equal(item["image"], known["image"])
    assert torch.equal(item["mask"], known["mask"])
    assert item["mask_path"] == str(folder / "masks/a.tif")
