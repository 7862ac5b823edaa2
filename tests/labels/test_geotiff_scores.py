"""What GeoTIFFLabelStore keeps beside the map: scores, confidence, entropy."""

import pickle
import shutil
import subprocess
import sys
import textwrap
import tracemalloc
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rio_cogeo import cog_validate

from geoseg.classes import ClassMap
from geoseg.errors import LabelError, StoreError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.base import LabelStore
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.window import Window, sliding
from tests.support.waiting import PATIENCE

CLASSES = ClassMap.model_validate(
    [{"name": "background"}, {"name": "Gebäude", "id": 7}, {"name": "road", "id": 3}]
)
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=700, width=600)
SMALL = Grid(crs="EPSG:32619", transform=[8, 2.5, 5e5, 3, -9, 4e6], height=70, width=50)
ALL = {"scores": True, "confidence": True, "entropy": True}
NAMES = ("scores", "confidence", "entropy")


def prediction(grid, classes=CLASSES, seed=0):
    """Labels with scores, and a corner that is ignored, where scores are NaN."""
    raised = np.random.default_rng(seed).random((len(classes), *grid.shape), np.float32) ** 3
    scores = raised / raised.sum(axis=0)
    ids = classes.id_table()[scores.argmax(axis=0)]
    ids[: grid.height // 4, : grid.width // 3] = 255
    scores[:, ids == 255] = np.nan
    return ArrayLabels(grid, classes, ids, scores)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def store_in(folder, **options):
    return GeoTIFFLabelStore(uri=str(folder / "map.tif"), sidecar=False, **options)


def expected_bytes(scores, ids):
    """Quantised in float64, 255 where ignored."""
    made = np.floor(scores.astype(np.float64) * 254 + 0.5)
    return np.where(ids == 255, 255, made)


def assert_within_a_rounding(found, expected):
    """Equal, but for single bytes where float32 and float64 round a half to different sides."""
    apart = np.abs(found.astype(int) - expected.astype(int))
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-3


@pytest.mark.parametrize("cog", [True, False])
def test_rasterio_finds_scores_confidence_and_entropy(tmp_path, cog):
    labels = prediction(GRID)
    ids, scores = labels.to_array(), np.nan_to_num(labels.scores(GRID.whole))
    store_in(tmp_path, cog=cog, **ALL).write(labels)
    p = scores.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(p > 0, p * np.log(p), 0).sum(axis=0) / np.log(3)
    expected = {"scores": scores, "confidence": scores.max(axis=0)[None], "entropy": entropy[None]}
    for name in NAMES:
        with rasterio.open(tmp_path / f"map.{name}.tif") as file:
            assert_within_a_rounding(file.read(), expected_bytes(expected[name], ids))
            bands = 3 if name == "scores" else 1
            assert (file.nodata, file.dtypes) == (255, ("uint8",) * bands)
            assert file.descriptions == (CLASSES.names if name == "scores" else (name,))
            assert file.scales == (1 / 254,) * bands
            assert file.offsets == (0,) * bands
            assert file.crs == GRID.crs
            assert file.transform == GRID.transform
            assert set(file.block_shapes) == {(512, 512)}
            assert {c.name for c in file.colorinterp} <= {"gray", "undefined", "palette"}
            assert file.overviews(1) == ([2] if cog else [])
    with rasterio.open(tmp_path / "map.tif") as file:
        np.testing.assert_array_equal(file.read(1), ids)
    assert names_in(tmp_path) == sorted(["map.tif", *(f"map.{name}.tif" for name in NAMES)])


@pytest.mark.parametrize("classes", [1, 3, 4, 5])
def test_all_files_are_valid_cogs_for_any_number_of_classes(tmp_path, classes):
    classes = ClassMap.of(*(f"class {i}" for i in range(classes)))
    grid = Grid(crs="EPSG:32619", transform=GRID.transform, height=600, width=530)
    store_in(tmp_path, **ALL).write(prediction(grid, classes))
    for name in names_in(tmp_path):
        found = cog_validate(tmp_path / name, strict=True, quiet=True)
        assert found == (True, [], []), name
        with rasterio.open(tmp_path / name) as file:
            assert {c.name for c in file.colorinterp} <= {"gray", "undefined", "palette"}


def test_overviews_of_scores_are_means_of_the_known_pixels(tmp_path):
    grid, classes = Grid(height=1024, width=1024), ClassMap.of("a", "b")
    first = np.zeros(grid.shape, np.float32)
    first[::2] = 1
    ids = np.zeros(grid.shape, np.uint8)
    ids[:, 600:] = 255
    store_in(tmp_path, scores=True).write(
        ArrayLabels(grid, classes, ids, np.stack([first, 1 - first]))
    )
    with rasterio.open(tmp_path / "map.scores.tif", overview_level=0) as file:
        small = file.read()
    assert (small[:, :, :300] == 127).all()
    assert (small[:, :, 300:] == 255).all()


@pytest.mark.parametrize("wanted", list(product([False, True], repeat=3)), ids=str)
def test_any_subset_is_written_in_one_pass_and_in_the_same_bytes(tmp_path, wanted):
    labels = prediction(SMALL)
    (tmp_path / "all").mkdir()
    store_in(tmp_path / "all", cog=False, **ALL).write(labels)
    options = dict(zip(NAMES, wanted, strict=True))
    store = store_in(tmp_path / "some", cog=False, **options)
    store.write(labels)
    kept = [f"map.{name}.tif" for name in NAMES if options[name]]
    assert names_in(tmp_path / "some") == sorted(["map.tif", *kept])
    assert set(store.outputs) == {str(tmp_path / "some" / name) for name in ["map.tif", *kept]}
    assert store.wants_scores is any(wanted)
    for name in ["map.tif", *kept]:
        with (
            rasterio.open(tmp_path / "all" / name) as one,
            rasterio.open(tmp_path / "some" / name) as other,
        ):
            np.testing.assert_array_equal(one.read(), other.read())


@pytest.mark.parametrize("cog", [True, False])
@pytest.mark.parametrize("grid", [GRID, SMALL, Grid(height=7, width=13)], ids=str)
def test_scores_are_read_back_within_half_a_step(tmp_path, grid, cog):
    labels = prediction(grid)
    read = store_in(tmp_path, scores=True, cog=cog).write(labels)
    ids, scores = labels.to_array(), np.nan_to_num(labels.scores(grid.whole))
    found = read.scores(grid.whole)
    assert found.dtype == np.float32
    assert np.abs(found - scores).max() <= 1 / 508 + 1e-6
    assert (found[:, ids == 255] == 0).all()
    assert np.abs(found.sum(axis=0) - 1)[ids != 255].max() <= 3 / 508 + 1e-6
    again = pickle.loads(pickle.dumps(read))
    np.testing.assert_array_equal(again.scores(grid.whole), found)


@pytest.mark.parametrize(
    "window", [Window(-3, -4, 20, 30), Window(60, 40, 30, 30), Window(500, 0, 2, 3)], ids=str
)
def test_scores_past_the_edge_are_zero(tmp_path, window):
    read = store_in(tmp_path, scores=True).write(prediction(SMALL))
    whole = np.pad(read.scores(SMALL.whole), ((0, 0), (600, 600), (600, 600)))
    rows = slice(window.row + 600, window.row_stop + 600)
    expected = whole[:, rows, window.col + 600 : window.col_stop + 600]
    np.testing.assert_array_equal(read.scores(window), expected)


@pytest.mark.parametrize("cog", [True, False])
def test_bytes_do_not_depend_on_how_many_rows_come_at_once(tmp_path, cog):
    labels = prediction(GRID)
    outputs = []
    for rows in (7, 100, 512, 700):
        store = store_in(tmp_path / str(rows), cog=cog, **ALL)
        with store.writer(GRID, CLASSES) as writer:
            for window in sliding(GRID, (rows, 600), edge="pad"):
                part = window.intersection(GRID.whole)
                writer.write(part, labels.read(part), labels.scores(part))
        outputs.append({uri.name: uri.read_bytes() for uri in (tmp_path / str(rows)).iterdir()})
    assert len(outputs[0]) == 4
    assert all(other == outputs[0] for other in outputs)


def test_windows_may_come_in_any_order(tmp_path):
    labels = prediction(GRID)
    whole = store_in(tmp_path / "whole", scores=True).write(labels)
    store = store_in(tmp_path / "squares", scores=True)
    with store.writer(GRID, CLASSES) as writer:
        for window in reversed(sliding(GRID, 170, edge="pad")):
            part = window.intersection(GRID.whole)
            writer.write(part, labels.read(part), labels.scores(part))
    squares = store.read()
    np.testing.assert_array_equal(squares.to_array(), whole.to_array())
    np.testing.assert_array_equal(squares.scores(GRID.whole), whole.scores(GRID.whole))


@pytest.mark.parametrize("cog", [True, False])
def test_what_is_never_written_is_not_known(tmp_path, cog):
    store = store_in(tmp_path, cog=cog, **ALL)
    with store.writer(GRID, CLASSES) as writer:
        scores = np.full((3, 10, 20), 1 / 3, np.float32)
        writer.write(Window(20, 40, 10, 20), np.zeros((10, 20), np.uint8), scores)
    for name in NAMES:
        chip = GeoTIFFSource(uri=str(tmp_path / f"map.{name}.tif")).read(GRID.whole)
        assert chip.valid.sum() == 200
        assert chip.valid[20:30, 40:60].all()


def test_a_store_that_wants_scores_says_so_where_none_come(tmp_path):
    store = store_in(tmp_path, confidence=True, entropy=True)
    with (
        pytest.raises(LabelError, match=r"keeps confidence, entropy, but no scores were given"),
        store.writer(SMALL, CLASSES) as writer,
    ):
        writer.write(SMALL.whole, np.zeros(SMALL.shape, np.uint8))
    with pytest.raises(LabelError, match="ArrayLabels holds no scores"):
        store.write(ArrayLabels(SMALL, CLASSES, np.zeros(SMALL.shape, np.uint8)))
    assert names_in(tmp_path) == []


def test_scores_that_do_not_fit_are_refused(tmp_path):
    ids = np.zeros(SMALL.shape, np.uint8)
    with store_in(tmp_path, scores=True).writer(SMALL, CLASSES) as writer:
        with pytest.raises(LabelError, match=r"shape \(2, 70, 50\), expected \(3, 70, 50\)"):
            writer.write(SMALL.whole, ids, np.zeros((2, 70, 50), np.float32))
        logits = np.full((3, 70, 50), 4, np.float32)
        logits[1] = -4
        with pytest.raises(LabelError, match="lie from -4 to 4, expected probabilities"):
            writer.write(SMALL.whole, ids, logits)


def test_a_map_without_scores_says_how_to_keep_them(tmp_path):
    read = store_in(tmp_path).write(prediction(SMALL))
    with pytest.raises(LabelError, match=r"map\.tif: holds no scores .* scores=True"):
        read.scores(SMALL.whole)
    with pytest.raises(StoreError, match=r"map\.tif: was written without scores"):
        store_in(tmp_path, scores=True).read()


def test_a_missing_file_beside_the_map_is_an_error(tmp_path):
    read = store_in(tmp_path, **ALL).write(prediction(SMALL))
    (tmp_path / "map.scores.tif").unlink()
    (tmp_path / "map.entropy.tif").unlink()
    np.testing.assert_array_equal(read.to_array(), prediction(SMALL).to_array())
    with pytest.raises(StoreError, match=r"map\.scores\.tif: no such file"):
        read.scores(SMALL.whole)
    with pytest.raises(StoreError, match=r"map\.entropy\.tif: no such file"):
        store_in(tmp_path, entropy=True).read()
    assert store_in(tmp_path, confidence=True).read().classes == CLASSES


@pytest.mark.parametrize(
    "other",
    [
        prediction(SMALL, seed=1),
        prediction(Grid(height=70, width=50)),
        prediction(Grid(height=7, width=50)),
        prediction(SMALL, ClassMap.of("a", "b", "c")),
        prediction(SMALL, ClassMap.of("a", "b")),
    ],
    ids=["other run", "other place", "other size", "other classes", "fewer classes"],
)
def test_scores_of_another_map_are_refused(tmp_path, other):
    read = store_in(tmp_path / "one", scores=True).write(prediction(SMALL))
    store_in(tmp_path / "other", scores=True).write(other)
    shutil.copy(tmp_path / "other/map.scores.tif", tmp_path / "one/map.scores.tif")
    with pytest.raises(StoreError, match=r"map\.scores\.tif: does not belong to .*map\.tif"):
        read.scores(SMALL.whole)
    with pytest.raises(StoreError, match="does not belong to"):
        store_in(tmp_path / "one", scores=True).read()


def test_a_new_map_without_scores_does_not_take_those_of_the_old(tmp_path):
    store_in(tmp_path, scores=True).write(prediction(SMALL))
    with pytest.warns(UserWarning, match=r"map\.scores\.tif of an earlier map is still beside it"):
        read = store_in(tmp_path).write(prediction(SMALL))
    with pytest.raises(LabelError, match="holds no scores"):
        read.scores(SMALL.whole)


def test_a_file_of_scores_is_no_map(tmp_path):
    store_in(tmp_path, confidence=True).write(prediction(SMALL))
    with pytest.raises(StoreError, match=r"holds confidence, not class ids"):
        GeoTIFFLabelStore(uri=str(tmp_path / "map.confidence.tif")).read()


def test_a_truncated_file_of_scores_is_an_error(tmp_path):
    read = store_in(tmp_path, scores=True).write(prediction(GRID))
    path = tmp_path / "map.scores.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with pytest.raises(StoreError, match=r"map\.scores\.tif"):
        read.scores(GRID.whole)


@pytest.mark.parametrize("there", ["map.tif", "map.scores.tif", "map.tif.aux.xml"])
def test_mode_error_replaces_nothing_and_says_so_before_the_work(tmp_path, there):
    (tmp_path / there).write_bytes(b"old")
    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"), scores=True, mode="error")
    with pytest.raises(StoreError, match="is there already and this store replaces nothing"):
        store.check()
    with pytest.raises(StoreError, match="is there already"):
        store.writer(SMALL, CLASSES).__enter__()
    assert names_in(tmp_path) == [there]
    assert (tmp_path / there).read_bytes() == b"old"


def test_mode_error_writes_where_nothing_is_and_then_refuses(tmp_path):
    store = store_in(tmp_path, mode="error", **ALL)
    store.write(prediction(SMALL))
    with pytest.raises(StoreError, match="is there already"):
        store.write(prediction(SMALL))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_writer_leaves_the_old_files_and_nothing_else(tmp_path, error):
    for name in ("map.tif", "map.scores.tif"):
        (tmp_path / name).write_text(f"old {name}")
    labels = prediction(GRID)

    def interrupted():
        with store_in(tmp_path, **ALL).writer(GRID, CLASSES) as writer:
            rows = Window(0, 0, 600, 600)
            writer.write(rows, labels.read(rows), labels.scores(rows))
            raise error

    with pytest.raises(error):
        interrupted()
    assert names_in(tmp_path) == ["map.scores.tif", "map.tif"]
    assert (tmp_path / "map.scores.tif").read_text() == "old map.scores.tif"


def test_when_the_last_name_cannot_be_taken_the_others_are_given_back(tmp_path, monkeypatch):
    store = store_in(tmp_path, **ALL)
    store.write(prediction(SMALL))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "map.entropy.tif").unlink()
    replace = Path.replace

    def fails_for_the_map(self, target):
        if self.name == "map.tif":
            raise PermissionError(13, "Permission denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails_for_the_map)
    with pytest.raises(StoreError, match=r"map\.tif: cannot be replaced: Permission denied"):
        store.write(prediction(SMALL, seed=1))
    del before["map.entropy.tif"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("a/map.tif", "a/map.scores.tif"),
        ("map.v2.TIFF", "map.v2.scores.tif"),
        ("x", "x.scores.tif"),
    ],
)
def test_the_names_beside_the_map(uri, expected):
    store = GeoTIFFLabelStore(uri=uri, scores=True)
    assert store.outputs == (expected, f"{uri}.aux.xml", uri)


def test_the_store_survives_yaml():
    store = GeoTIFFLabelStore(uri="/a/map.tif", mode="error", sidecar=False, **ALL)
    assert LabelStore.from_yaml(store.to_yaml()) == store


def test_another_ignore_id_is_kept(tmp_path):
    classes = ClassMap.model_validate({"classes": [{"name": "a", "id": 4}], "ignore_id": 0})
    ids = np.full(SMALL.shape, 4, np.uint8)
    ids[:, :9] = 0
    labels = ArrayLabels(SMALL, classes, ids, np.ones((1, *SMALL.shape), np.float32))
    read = store_in(tmp_path, scores=True).write(labels)
    np.testing.assert_array_equal(read.scores(SMALL.whole)[0], ids == 4)


def _run_with_file_size_limit(folder, limit, *, cog):
    """Write in a process whose files may not grow past a limit, like on a full disk."""
    code = f"""
        import resource, signal
        import numpy as np
        from geoseg.classes import ClassMap
        from geoseg.errors import StoreError
        from geoseg.grid import Grid
        from geoseg.labels.array import ArrayLabels
        from geoseg.labels.geotiff import GeoTIFFLabelStore
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        grid, classes = Grid(height=700, width=600), ClassMap.of("a", "b", "c")
        scores = np.random.default_rng(0).random((3, *grid.shape), np.float32)
        scores /= scores.sum(axis=0)
        labels = ArrayLabels(grid, classes, scores.argmax(axis=0).astype(np.uint8), scores)
        store = GeoTIFFLabelStore(uri={str(folder / "map.tif")!r}, scores=True, entropy=True, cog={cog})
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
        try:
            store.write(labels)
        except StoreError as error:
            raise SystemExit(str(error))
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(run, capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
@pytest.mark.parametrize("cog", [True, False])
def test_a_full_disk_is_an_error_wherever_it_strikes_and_leaves_nothing(tmp_path, cog):
    done = _run_with_file_size_limit(tmp_path, 1 << 30, cog=cog)
    assert done.returncode == 0, done.stderr
    sizes = {path: path.stat().st_size for path in tmp_path.glob("*.tif")}
    assert len(sizes) == 3
    for path in list(tmp_path.iterdir()):
        path.unlink()
    largest = max(sizes.values())
    limits = [largest - 1, largest - 3000, largest // 3]
    limits += [size - 1 for size in sizes.values()]
    for limit in limits:
        done = _run_with_file_size_limit(tmp_path, limit, cog=cog)
        assert done.returncode == 1, (limit, sizes)
        assert "cannot be written whole" in done.stderr
        assert names_in(tmp_path) == []


def test_memory_does_not_grow_with_the_height(tmp_path):
    classes = ClassMap.of("a", "b", "c", "d")

    def peak(height):
        grid = Grid(crs="EPSG:32619", transform=GRID.transform, height=height, width=300)
        ids, scores = np.zeros((100, 300), np.uint8), np.full((4, 100, 300), 0.25, np.float32)
        tracemalloc.start()
        with store_in(tmp_path, **ALL).writer(grid, classes) as writer:
            for row in range(0, height, 100):
                writer.write(Window(row, 0, 100, 300), ids, scores)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(600)  # once for imports and caches
    assert peak(5000) < 1.2 * peak(600)
