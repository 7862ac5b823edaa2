"""Parts of a map that do not fit together are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, StoreError
from geoseg.grid import Grid
from geoseg.labels import parts as module
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.manifest import FileStamp, MadeBy, Manifest, Part, tell
from geoseg.labels.parts import merge, write_part
from geoseg.labels.rows import LabelRows
from geoseg.labels.tifflabels import GeoTIFFLabels
from geoseg.spec import FrozenMap

GRID = Grid(crs="EPSG:32619", transform=[2, 0, 5e5, 0, -2, 4e6], height=1100, width=70)
STAMP = FileStamp(name="image.tif", size=10, modified=20, digest="30")
MANIFEST = Manifest(
    version="1", scene=FrozenMap({"image.type": "geotiff"}), files=(STAMP,), model="m", grid=GRID,
    classes=ClassMap.of("a", "b"), size=(64, 64), stride=(32, 32), blend="hann", batch_size=4,
    tta=None, scores=False,
)  # fmt: skip
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 2, GRID.shape, np.uint8)
BOTH = RNG.random(GRID.shape, np.float32)
SCORES = np.stack([BOTH, 1 - BOTH])


def written(folder, name, first, stop, notes=(), **changes):
    part = Part(manifest=MANIFEST.model_copy(update=changes), rows=(first, stop))
    rows = LabelRows(0, IDS, SCORES if part.manifest.scores else None)
    pieces = [rows.cut(row, min(row + 100, stop)) for row in range(first, stop, 100)]
    write_part(str(folder / name), part, pieces, notes=lambda: notes)
    return str(folder / name)


def store(folder, **options):
    return GeoTIFFLabelStore(uri=str(folder / "map.tif"), **options)


@pytest.mark.parametrize("scores", [False, True])
def test_parts_in_any_order_are_joined_to_the_bytes_of_one_write(tmp_path, scores):
    cuts = [0, 512, 1024, 1100]
    parts = [
        written(tmp_path, f"{i}.tif", *cuts[i : i + 2], scores=scores) for i in (2, 0, 1)
    ]  # fmt: skip
    labels = merge(parts, store(tmp_path, scores=scores))
    np.testing.assert_array_equal(labels.to_array(), IDS)
    reference = GeoTIFFLabelStore(uri=str(tmp_path / "ref.tif"), scores=scores)
    with reference.writer(GRID, MANIFEST.classes) as writer:
        writer.write(GRID.whole, IDS, SCORES)
        tell(writer, MadeBy.of(MANIFEST.model_copy(update={"scores": scores})))
    for suffix in (".tif", ".scores.tif") if scores else (".tif",):
        found, expected = (tmp_path / f"{stem}{suffix}" for stem in ("map", "ref"))
        assert found.read_bytes() == expected.read_bytes()


def test_a_part_is_a_label_map_that_lies_where_its_rows_lie(tmp_path):
    part = written(tmp_path, "part.tif", 512, 1024)
    with rasterio.open(part) as file:
        np.testing.assert_array_equal(file.read(1), IDS[512:1024])
        assert file.transform == Affine(2, 0, 5e5, 0, -2, 4e6 - 1024)
        assert file.crs.to_epsg() == 32619
        assert file.nodata == 255
    read = GeoTIFFLabelStore(uri=part).read()
    assert read.classes == MANIFEST.classes


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([(0, 512), (1024, 1100)], "no part holds rows 512 to 1023 of 1100"),
        ([(512, 1100)], "no part holds rows 0 to 511"),
        ([(0, 512), (512, 1024)], "no part holds rows 1024 to 1099"),
        ([(0, 1024), (512, 1100)], r"1\.tif: overlaps with .*0\.tif: it holds rows 512 to 1099"),
        ([(0, 512), (0, 512), (512, 1100)], "name each part once"),
    ],
)
def test_gaps_and_overlaps_are_refused(tmp_path, rows, text):
    parts = [written(tmp_path, f"{i}.tif", *span) for i, span in enumerate(rows)]
    with pytest.raises(ConfigError, match=text):
        merge(parts, store(tmp_path))
    assert not (tmp_path / "map.tif").exists()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"model": "n"}, "model is n, was m"),
        ({"batch_size": 8}, "batch_size is 8, was 4"),
        ({"stride": (16, 16), "blend": "mean"}, r"blend is mean, was hann; stride is \[16, 16\]"),
        ({"scene": FrozenMap({"image.type": "stac"})}, "scene.image.type is stac, was geotiff"),
        ({"files": (STAMP.model_copy(update={"size": 11}),)}, "file image.tif.size is 11, was 10"),
        ({"version": "2"}, "version is 2, was 1"),
    ],
)
def test_parts_of_different_runs_are_refused_with_the_difference(tmp_path, changes, text):
    parts = [written(tmp_path, "0.tif", 0, 512), written(tmp_path, "1.tif", 512, 1100, **changes)]
    with pytest.raises(ConfigError, match=rf"1\.tif: belongs to another run than .*: {text}"):
        merge(parts, store(tmp_path))


def test_parts_from_a_copy_of_the_image_on_another_machine_fit_but_the_machine_is_told(tmp_path):
    copied = (STAMP.model_copy(update={"modified": 99}),)
    machine = FrozenMap({"device": "cuda"})
    parts = [
        written(tmp_path, "0.tif", 0, 512),
        written(tmp_path, "1.tif", 512, 1100, files=copied, machine=machine),
    ]
    with pytest.warns(UserWarning, match="2 parts were computed with another machine and with"):
        labels = merge(parts, store(tmp_path))
    np.testing.assert_array_equal(labels.to_array(), IDS)


def test_what_is_no_part_is_refused(tmp_path):
    part = written(tmp_path, "part.tif", 0, 1100)
    plain = store(tmp_path)
    with plain.writer(GRID, MANIFEST.classes) as writer:
        writer.write(GRID.whole, IDS)
    other = GeoTIFFLabelStore(uri=str(tmp_path / "new.tif"))
    with pytest.raises(StoreError, match=r"map\.tif: is no part of a map"):
        merge([part, plain.uri], other)
    with pytest.raises(StoreError, match=r"missing\.tif: no such file"):
        merge([part, str(tmp_path / "missing.tif")], other)
    with pytest.raises(ConfigError, match="no parts to merge"):
        merge([], other)
    with pytest.raises(ConfigError, match=r"part\.tif: is read as an input"):
        merge([part], GeoTIFFLabelStore(uri=part))
    with pytest.raises(ConfigError, match="the parts hold none"):
        merge([part], GeoTIFFLabelStore(uri=other.uri, entropy=True))
    assert not Path(other.uri).exists()


@pytest.mark.parametrize("name", ["", ".", "a" * 250 + ".tif"], ids=len)
def test_a_part_or_a_map_that_can_be_no_file_is_refused(tmp_path, monkeypatch, name):
    part = written(tmp_path, "0.tif", 0, 1100)
    with pytest.raises(StoreError):
        merge([part, name], store(tmp_path))
    monkeypatch.setattr(module, "_open", None)  # no part is read
    with pytest.raises(StoreError, match=r"is no name of a file|is a folder|choose a shorter one"):
        merge([part], GeoTIFFLabelStore(uri=name))
    assert [path.name for path in tmp_path.iterdir()] == ["0.tif"]


def test_scores_that_are_missing_beside_a_part_are_told(tmp_path):
    part = written(tmp_path, "0.tif", 0, 1100, scores=True)
    (tmp_path / "0.part.tif").unlink()
    with pytest.raises(StoreError, match=r"0\.part\.tif: no such file.*scores of .*0\.tif"):
        merge([part], store(tmp_path, scores=True))


def test_a_merged_map_tells_how_it_was_made_and_the_notes_of_all_parts(tmp_path):
    parts = [
        written(tmp_path, "1.tif", 512, 1024, notes=("4 at once",), files=(STAMP,)),
        written(tmp_path, "0.tif", 0, 512, notes=("2 at once", "1 at once")),
        written(tmp_path, "2.tif", 1024, 1100, notes=("2 at once",)),
    ]
    with pytest.warns(UserWarning, match="of 4 parts scores may differ"):
        labels = merge(parts, store(tmp_path))
    told = labels.made_by
    assert told.notes == ("2 at once", "1 at once", "4 at once")
    assert (told.model, told.size, told.stride) == ("m", (64, 64), (32, 32))
    assert GeoTIFFLabels(parts[0]).made_by.notes == ("4 at once",)


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ((STAMP.model_copy(update={"digest": "x"}), STAMP), "file image.tif.digest is x, was 30"),
        (
            (STAMP, STAMP.model_copy(update={"digest": "x"})),
            r"file image\.tif \(number 2\)\.digest is x, was 30",
        ),
    ],
)
def test_files_of_one_name_are_told_apart(tmp_path, files, text):
    parts = [
        written(tmp_path, "0.tif", 0, 512, files=(STAMP, STAMP)),
        written(tmp_path, "1.tif", 512, 1100, files=files),
    ]
    with pytest.raises(ConfigError, match=text):
        merge(parts, store(tmp_path))
