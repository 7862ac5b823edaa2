"""RasterPatchDataset: pairs by path, all of whose pixels fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from affine import Affine

from geoseg.datasets import RasterPatchDataset
from geoseg.errors import ConfigError, SceneError, SourceError

MOVED = Affine(10, 0, 500_010, 0, -10, 4_000_000)
SIZES = {"a": (21, 33), "sub/a": (16, 40)}


@pytest.fixture
def folders(tmp_path, write_raster):
    """{name: (pixels, ids)} of images/*.tif and masks/*_m.tif."""
    rng = np.random.default_rng(4)
    found = {}
    for name, size in SIZES.items():
        for folder in ("images", "masks"):
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
        found[name] = (
            rng.integers(1, 256, (3, *size)).astype(np.uint8),
            rng.integers(0, 4, size).astype(np.uint8),
        )
        write_raster(f"images/{name}.tif", found[name][0])
        write_raster(f"masks/{name}_m.tif", found[name][1])
    return found


def made(tmp_path, **options):
    return RasterPatchDataset(
        tmp_path / "images", tmp_path / "masks",
        **{"patch_size": 10, "stride": 5, "mask_extension": "_m.tif", "n_classes": 4} | options,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*are in no window")
def test_windows_count_as_users_know_and_hold_the_pixels_of_both_files(tmp_path, folders):
    data = made(tmp_path)
    counts = [((h - 10) // 5 + 1) * ((w - 10) // 5 + 1) for h, w in SIZES.values()]
    assert len(data) == sum(counts)
    assert [info["windows"] for info in data.image_info] == counts
    assert [(info["height"], info["width"]) for info in data.image_info] == list(SIZES.values())
    for number, item in enumerate(data[i] for i in range(len(data))):
        name = "a" if number < counts[0] else "sub/a"
        assert item["mask_path"] == str(tmp_path / f"masks/{name}_m.tif")
        assert data.df["image_path"][number] == str(tmp_path / f"images/{name}.tif")
        pixels, ids = folders[name]
        part = slice(item["row_off"], item["row_off"] + 10), slice(item["col_off"], item["col_off"] + 10)  # fmt: skip
        assert torch.equal(item["image"], torch.from_numpy(pixels[(slice(None), *part)]).div(255))
        assert np.array_equal(item["mask"].numpy(), ids[part])
        assert item["valid"].all()


def test_pairs_that_do_not_fit_are_told_when_it_is_made(tmp_path, folders, write_raster):
    options = {"edge": "flush"}
    pixels, ids = folders["a"]
    write_raster("masks/a_m.tif", ids[:20])
    with pytest.raises(SceneError, match="other sizes"):
        made(tmp_path, **options)
    write_raster("masks/a_m.tif", ids, transform=MOVED)
    with pytest.raises(SceneError, match="other places"):
        made(tmp_path, **options)
    write_raster("masks/a_m.tif", ids, crs="EPSG:32620")
    with pytest.raises(SceneError, match="other places"):
        made(tmp_path, **options)
    write_raster("masks/a_m.tif", ids)
    write_raster("images/a.tif", pixels[:2])
    with pytest.raises(SceneError, match=r"has 3 bands, but .* has 2"):
        made(tmp_path, **options)
    (tmp_path / "images/a.tif").unlink()
    with pytest.raises(SceneError, match=r"1 mask \(a\) without image"):
        made(tmp_path, **options)
    (tmp_path / "masks/a_m.tif").rename(tmp_path / "masks/b_m.tif")
    write_raster("images/a.tif", pixels)
    with pytest.raises(SceneError, match=r"1 image \(a\) without mask"):
        made(tmp_path, **options)


def test_a_mask_without_a_place_goes_with_an_image_that_has_one(tmp_path, folders, write_raster):
    _, ids = folders["a"]
    write_raster("masks/a_m.tif", ids, crs=None, transform=Affine.identity())
    data = made(tmp_path, edge="flush")
    assert np.array_equal(data[0]["mask"].numpy(), ids[:10, :10])


def test_a_read_error_raises_and_gives_no_other_item(tmp_path, folders):
    data = made(tmp_path, edge="flush")
    path = tmp_path / "images/a.tif"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1200)
    with pytest.raises(SourceError, match=r"item 23, .*a_m\.tif: .*images/a\.tif"):
        data[len([w for w in data.windows if w["mask_path"].endswith("masks/a_m.tif")]) - 1]


def test_keywords_and_extensions_are_looked_at(tmp_path, folders, caplog):
    with pytest.raises(ConfigError, match=r"'image_size' \(nearest: 'image_d"):
        made(tmp_path, image_size=3)
    with pytest.raises(ConfigError, match="stride is 0"):
        made(tmp_path, stride=0)
    with pytest.raises(ConfigError, match=r"holds no file that ends in '\.png'"):
        made(tmp_path, extension=".png")
    made(tmp_path, edge="flush", reset_augmentation_function=True)
    assert "reset_augmentation_function has no effect" in caplog.text
