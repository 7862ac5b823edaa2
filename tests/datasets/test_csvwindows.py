"""CSVWindowedSegmentationDataset: image and mask of one row, wherever the files lie."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from geoseg.datasets import CSVWindowedSegmentationDataset
from geoseg.errors import ConfigError, GridError, SceneError, SourceError


@pytest.fixture
def layers(tmp_path, write_raster):
    """(table, {name: (pixels, ids)}): two pairs in a folder, rows of both in turn."""
    (tmp_path / "data").mkdir()
    rng = np.random.default_rng(2)
    found = {}
    for name in ("a", "b"):
        found[name] = (
            rng.integers(1, 256, (3, 20, 24)).astype(np.uint8),
            rng.integers(0, 3, (20, 24)).astype(np.uint8),
        )
        write_raster(f"data/{name}.tif", found[name][0])
        write_raster(f"data/{name}_mask.tif", found[name][1])
    names = np.array(["a", "b", "b", "a", "b"])
    table = pd.DataFrame({
        "class_entropy": [0.1, 0.2, 0.3, 0.4, 0.5],
        "image": [f"data/{name}.tif" for name in names],
        "mask": [f"data/{name}_mask.tif" for name in names],
        "row_off": [0, 12, 3, 5, 9], "col_off": [16, 0, 7, 2, 16], "patch_size": 8, "who": names,
    })  # fmt: skip
    return table, found


def check(data, table, found):
    assert len(data) == len(table)
    for number, row in enumerate(table.itertuples()):
        item = data[number]
        pixels, ids = found[row.who]
        part = slice(row.row_off, row.row_off + 8), slice(row.col_off, row.col_off + 8)
        assert torch.equal(item["image"], torch.from_numpy(pixels[(slice(None), *part)]).div(255))
        assert np.array_equal(item["mask"].numpy(), ids[part])
        assert (item["row_off"], item["col_off"]) == (row.row_off, row.col_off)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_image_and_mask_are_those_of_one_row(tmp_path, layers, suffix):
    table, found = layers
    uri = tmp_path / f"w.{suffix}"
    table.to_csv(uri, index=False) if suffix == "csv" else table.to_parquet(uri)
    data = CSVWindowedSegmentationDataset(uri, n_classes=3)
    check(data, table, found)
    assert list(data.df.columns) == list(table.columns)
    assert data.df["class_entropy"].tolist() == table["class_entropy"].tolist()
    first = CSVWindowedSegmentationDataset(uri, n_classes=3, n_first_rows_to_read=2)
    check(first, table.head(2), found)
    with pytest.raises(IndexError):
        first[2]


def test_tables_own_keys_and_folders(tmp_path, layers, monkeypatch):
    table, found = layers
    short = table.replace(r"^data/", "", regex=True)
    options = {"n_classes": 3}
    check(CSVWindowedSegmentationDataset(df=short, root_dir=tmp_path / "data", **options), table, found)  # fmt: skip
    full = table.assign(**{key: [f"{tmp_path}/{path}" for path in table[key]] for key in ("image", "mask")})  # fmt: skip
    check(CSVWindowedSegmentationDataset(full, root_dir="/elsewhere", **options), table, found)
    keys = {"image": "i", "mask": "m", "row_off": "r", "col_off": "c", "patch_size": "p"}
    named = full.rename(columns=keys)
    data = CSVWindowedSegmentationDataset(named, image_key="i", mask_key="m", row_off_key="r", col_off_key="c", patch_size_key="p", **options)  # fmt: skip
    check(data, table, found)
    assert list(data.df.columns) == list(named.columns)
    with pytest.raises(ConfigError, match=r"the table: has no column 'images', .*is it 'image'\?.*image_key"):  # fmt: skip
        CSVWindowedSegmentationDataset(full, image_key="images")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    table.to_csv("other/w.csv", index=False)
    with pytest.warns(UserWarning, match="2 of 2 files are not in its folder"):
        check(CSVWindowedSegmentationDataset("other/w.csv", **options), table, found)


def test_excluded_rows_are_left_out_and_the_others_line_up(tmp_path, layers):
    table, found = layers
    table = table.assign(excluded=[False, True, False, True, False], split=list("ttttv"))
    data = CSVWindowedSegmentationDataset(table, root_dir=tmp_path, n_classes=3)
    check(data, table[~table["excluded"]], found)
    assert data.excluded == 2
    assert data.df["class_entropy"].tolist() == [0.1, 0.3, 0.5]
    data = CSVWindowedSegmentationDataset(table, root_dir=tmp_path, n_classes=3, split="t")
    check(data, table.iloc[[0, 2]], found)


def test_what_does_not_fit_is_told_when_it_is_made(tmp_path, layers, write_raster):
    table, found = layers
    options = {"root_dir": tmp_path, "n_classes": 3}
    with pytest.raises(GridError, match=r"row 0 .*past the edge"):
        CSVWindowedSegmentationDataset(table.assign(row_off=15), **options)
    padded = CSVWindowedSegmentationDataset(table.assign(row_off=15), edge="pad", **options)[0]
    assert padded["valid"].sum(dim=1).tolist() == [8] * 5 + [0] * 3
    assert set(padded["mask"][5:].flatten().tolist()) == {255}
    with pytest.raises(SourceError, match=r"gone\.tif"):
        CSVWindowedSegmentationDataset(table.assign(image="data/gone.tif"), **options)
    with pytest.raises(ConfigError, match="names no image"):
        CSVWindowedSegmentationDataset(table.assign(image=None), **options)
    write_raster("data/b.tif", found["b"][0][:, :19])
    with pytest.raises(SceneError, match="other sizes"):
        CSVWindowedSegmentationDataset(table, **options)
    with pytest.raises(ConfigError, match="neither input_csv_path and df"):
        CSVWindowedSegmentationDataset()
    with pytest.raises(ConfigError, match=r"'csv' \(nearest"):
        CSVWindowedSegmentationDataset(csv="a.csv")


def test_a_read_error_raises_and_gives_no_other_row(tmp_path, layers):
    table, _ = layers
    data = CSVWindowedSegmentationDataset(table, root_dir=tmp_path, n_classes=3)
    path = tmp_path / "data/b.tif"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 400)
    with pytest.raises(SourceError, match=r"item 4, the window of 8 x 8 px at row 9, column 16 of .*b_mask\.tif: .*b\.tif"):  # fmt: skip
        data[4]
