"""Masks as arrays, pages and maps: what other readers find is what was written."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError, StoreError
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.volumes import VolumeZip, VolumeZipWriter
from geoseg.volumes.exporting import VolumeFolderWriter, layers
from geoseg.volumes.exporting.copying import copy_volumes
from geoseg.volumes.rle import Rle

SHAPE = (5, 7, 9)
CLASSES = ("water", "ice")
UTM = Affine(30, 0, 4e5, 0, -30, 4e6)
TIMES = tuple(f"2020-06-{day:02d}" for day in range(1, 6))


@pytest.fixture
def ids():
    return np.random.default_rng(0).integers(0, 3, SHAPE).astype("uint8")


def masks_of(ids):
    """One mask as an array, one as runs of the other order."""
    return {"ice": Rle.encode(ids == 2, order="hwd"), "water": ids == 1}


def write(folder, ids, *, masks=None, scores=None, **options):
    place = {"crs": "EPSG:32619", "transform": UTM, "times": TIMES}
    with VolumeFolderWriter(str(folder), CLASSES, **options) as writer:
        image = np.zeros(SHAPE, "uint8")
        writer.write("a.npy", image, masks_of(ids) if masks is None else masks, "test", **place)
        if scores is not None:
            writer.write_scores("a.npy", scores)


def pages(path):
    """(page, band, height, width), read by GDAL itself."""
    with pytest.warns(NotGeoreferencedWarning), rasterio.open(path) as file:
        names = file.subdatasets or [str(path)]
    found = []
    for name in names:
        with pytest.warns(NotGeoreferencedWarning), rasterio.open(name) as file:
            found.append(file.read())
    return np.stack(found)


def index_of(folder):
    with (folder / "index.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("slab", [1 << 24, 7 * 9 * 2 * 2])
def test_ids_as_an_array(tmp_path, monkeypatch, ids, slab):
    monkeypatch.setattr(layers, "_SLAB", slab)
    write(tmp_path / "out", ids)
    found = np.load(tmp_path / "out" / "a.npy")
    assert found.dtype == np.uint8
    assert (found == ids).all()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a.npy",
        "classes.yaml",
        "index.csv",
    ]
    classes = ClassMap.from_yaml(tmp_path / "out" / "classes.yaml")
    assert classes.names == ("background", "water", "ice")
    assert index_of(tmp_path / "out") == [
        {"volume": "a", "plane": "", "time": " ".join(TIMES), "file": "a.npy"}
    ]


def test_a_layer_for_each_class_may_overlap(tmp_path, ids):
    both = {"water": ids > 0, "ice": ids > 1}
    write(tmp_path / "npy", ids, masks=both, layers="masks")
    assert (np.load(tmp_path / "npy" / "a.npy") == np.stack([ids > 0, ids > 1])).all()
    write(tmp_path / "tiff", ids, masks=both, layers="masks", kind="tiff")
    found = pages(tmp_path / "tiff" / "a.tif")
    assert (found == np.stack([ids > 0, ids > 1], axis=1)).all()
    write(tmp_path / "maps", ids, masks=both, layers="masks", kind="geotiff")
    with rasterio.open(tmp_path / "maps" / "a_003.tif") as file:
        assert (file.descriptions, file.transform, file.crs.to_epsg()) == (CLASSES, UTM, 32619)
        assert (file.read() == np.stack([ids > 0, ids > 1])[:, 3]).all()


def test_ids_of_classes_that_overlap_are_refused(tmp_path, ids):
    masks = {"water": np.zeros(SHAPE, bool), "ice": np.zeros(SHAPE, bool)}
    masks["water"][3, 2] = masks["ice"][3, :, 4] = True
    text = r"a: water and ice overlap at plane 3, row 2, column 4.*layers=\"masks\""
    with pytest.raises(LabelError, match=text):
        write(tmp_path / "out", ids, masks=masks)
    assert not list(tmp_path.glob("out/*"))


def test_a_stack_has_a_page_for_each_plane(tmp_path, ids):
    write(tmp_path, ids, kind="tiff")
    assert (pages(tmp_path / "a.tif")[:, 0] == ids).all()


def test_a_volume_of_one_plane_is_a_stack_of_one_page(tmp_path, ids):
    with VolumeFolderWriter(str(tmp_path), CLASSES, kind="tiff") as writer:
        writer.write("b", ids[:1], {"water": ids[:1] == 1, "ice": ids[:1] == 2})
    assert (pages(tmp_path / "b.tif")[0] == ids[:1]).all()


def test_each_plane_is_a_map_with_its_place_and_classes(tmp_path, ids):
    write(tmp_path, ids, kind="geotiff")
    rows = index_of(tmp_path)
    assert [row["time"] for row in rows] == list(TIMES)
    for plane, row in enumerate(rows):
        assert (row["volume"], row["plane"], row["file"]) == ("a", str(plane), f"a_{plane:03d}.tif")
        with rasterio.open(tmp_path / row["file"]) as file:
            assert (file.crs.to_epsg(), file.transform) == (32619, UTM)
            assert (file.read(1) == ids[plane]).all()
    labels = GeoTIFFLabelStore(uri=str(tmp_path / "a_002.tif")).read()
    assert labels.classes.names == ("background", "water", "ice")


def test_scores_come_slab_by_slab_into_files_of_the_same_kind(tmp_path, ids):
    scores = np.random.default_rng(1).random((2, *SHAPE)).astype("float32")
    slabs = [scores[:, :2], scores[:, 2:3], scores[:, 3:]]
    for kind in ("npy", "tiff", "geotiff"):
        write(tmp_path / kind, ids, kind=kind, scores=iter(slabs))
    found = np.load(tmp_path / "npy" / "a.scores.npy")
    assert found.dtype == np.float32
    assert (found == scores).all()
    assert (pages(tmp_path / "tiff" / "a.scores.tif") == scores.transpose(1, 0, 2, 3)).all()
    with rasterio.open(tmp_path / "geotiff" / "a.scores_004.tif") as file:
        assert (file.descriptions, file.transform) == (CLASSES, UTM)
        assert (file.read() == scores[:, 4]).all()


@pytest.mark.parametrize(
    ("slabs", "text"),
    [
        ([np.zeros((2, 4, 7, 9))], "scores of 4 planes came, expected 5"),
        ([np.zeros((2, 6, 7, 9))], "scores of 6 planes or more came, expected 5"),
        ([np.zeros((1, 5, 7, 9))], r"shape \(1, 5, 7, 9\)"),
        ([np.zeros((2, 0, 7, 9))], r"shape \(2, 0, 7, 9\)"),
    ],
)
def test_scores_that_do_not_fill_the_volume_are_refused(tmp_path, ids, slabs, text):
    with pytest.raises(LabelError, match=text):
        write(tmp_path, ids, scores=slabs)
    assert not (tmp_path / "a.scores.npy").exists()


@pytest.mark.parametrize("kind", ["npy", "tiff", "geotiff"])
def test_the_same_volumes_give_the_same_bytes(tmp_path, ids, kind):
    for name in ("one", "two"):
        write(tmp_path / name, ids, kind=kind)
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(("place", "lacking"), [({}, "CRS"), ({"crs": 32619}, "transform")])
def test_maps_need_a_place(tmp_path, ids, place, lacking):
    with VolumeFolderWriter(str(tmp_path), CLASSES, kind="geotiff") as writer:
        writer.write("b", ids, {}, crs=32619, transform=UTM)
        with pytest.raises(StoreError, match=rf"a: has no {lacking}.*write it as npy or tiff"):
            writer.write("a", ids, masks_of(ids), **place)


def test_what_cannot_be_written_is_told(tmp_path, ids):
    for options, text in (
        ({"kind": "png"}, "kind is 'png', expected one of: npy, tiff, geotiff"),
        ({"layers": "rgb"}, "layers is 'rgb'"),
    ):
        with pytest.raises(ConfigError, match=text):
            VolumeFolderWriter(str(tmp_path), CLASSES, **options)
    for classes, text in (
        ((), "expected a list of one or more names"),
        ("water", "expected a list of one or more names"),
        (("a", "a"), "classes named twice: a"),
        (("a\ud800",), "name it in Unicode"),
        ([str(i) for i in range(255)], "255 classes, expected at most 254"),
    ):
        with pytest.raises(ConfigError, match=text):
            VolumeFolderWriter(str(tmp_path), classes)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="is a file, expected a folder"):
        VolumeFolderWriter(str(tmp_path / "file"), CLASSES).__enter__()
    empty = VolumeFolderWriter(str(tmp_path / "none"), CLASSES)
    with pytest.raises(StoreError, match="no volume was written"), empty:
        pass
    writer = VolumeFolderWriter(str(tmp_path / "out"), CLASSES)
    with pytest.raises(StoreError, match="is not open"):
        writer.write("a", ids, {})
    with writer:
        writer.write("a", ids, {})
        for name, masks, error, text in (
            ("A.npy", {}, StoreError, "A: was written already as a"),
            ("../b", {}, StoreError, "expected the name of a file without folders"),
            ("b", None, StoreError, "b: has no masks"),
            ("b", {"snow": ids == 1}, LabelError, "mask of 'snow', which is no class"),
            (
                "b",
                {"ice": ids[1:] == 1},
                LabelError,
                r"class 'ice': the mask has the shape \(4, 7, 9\)",
            ),
            ("b", {"ice": ids}, LabelError, "b, class 'ice'"),
        ):
            with pytest.raises(error, match=text):
                writer.write(name, ids, masks)
        with pytest.raises(StoreError, match="b: was not written"):
            writer.write_scores("b", [])
    assert np.load(tmp_path / "out" / "a.npy").sum() == 0


def test_a_class_called_background_does_not_take_the_name_of_the_rest():
    assert layers.classes_of(["background", "x"]).names == ("no class", "background", "x")
    assert len(layers.classes_of([str(i) for i in range(1, 255)])) == 255


def test_scores_go_along_when_a_zip_is_copied(tmp_path, ids):
    scores = np.random.default_rng(2).random((2, *SHAPE)).astype("float16")
    uri = str(tmp_path / "a.zip")
    with VolumeZipWriter(uri, CLASSES) as writer:
        writer.write("a", ids, masks_of(ids))
        writer.write_scores("a", [scores])
        writer.write("b", ids, masks_of(ids))
    with VolumeFolderWriter(str(tmp_path / "out"), ("ice", "water")) as folder:
        assert [row.name for row in copy_volumes(VolumeZip(uri), folder)] == ["a.npy", "b.npy"]
    assert (np.load(tmp_path / "out" / "a.scores.npy") == scores[::-1]).all()
    assert not (tmp_path / "out" / "b.scores.npy").exists()
    assert (np.load(tmp_path / "out" / "b.npy") == np.array([0, 2, 1])[ids]).all()
