"""A class map to polygons."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyogrio
import pytest
import rasterio.features
import shapely

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.polygons.seams import SeamUnion
from geoseg.labels.polygons.trace import trace
from geoseg.labels.vector import VectorLabelStore
from geoseg.window import sliding
from tests.bench.race import race, report

pytestmark = pytest.mark.bench

SIDE = 4_000
CELLS = 96
STRIP = 512
CLASSES = ClassMap.of("a", "b", "c", "d")


@pytest.fixture(scope="module")
def class_map():
    """(4000, 4000) ids of 4 classes in about 5,000 regions with crooked borders."""
    return crooked(SIDE, SIDE)


def crooked(height, width, top=0):
    """Cells of a grid whose borders wave, each of a random class; rows from `top` on."""
    rows, cols = np.mgrid[top : top + height, 0:width].astype(np.float32)
    step = SIDE / CELLS
    across = rows + 6 * np.sin(cols / 23) + 3 * np.sin(rows / 7 + cols / 31)
    along = cols + 6 * np.sin(rows / 19) + 3 * np.cos(cols / 9 + rows / 41)
    down, right = (across / step).astype(int) + 1, (along / step).astype(int) + 1
    return np.random.default_rng(0).integers(0, 4, (2048, 2048), np.uint8)[down, right]


def whole_pass(ids):
    found = rasterio.features.shapes(ids, connectivity=4)
    rings = (geometry["coordinates"] for geometry, _ in found)
    return [shapely.Polygon(shell, holes) for shell, *holes in rings]


def by_strips(ids):
    union, count = SeamUnion(ids.shape[1]), 0
    for top in range(0, len(ids), STRIP):
        strip = ids[top : top + STRIP]
        bottom, last = top + len(strip), top + STRIP >= len(ids)
        pieces = trace(strip, ignore_id=255, top=top)
        for regions in union.push(pieces, top=top, bottom=bottom, last=last):
            count += len(regions)
    return count


def test_strips_against_one_pass(benchmark, class_map):
    assert by_strips(class_map) == len(whole_pass(class_map))
    times = race(
        {"whole": lambda: whole_pass(class_map), "strips": lambda: by_strips(class_map)}, rounds=5
    )
    benchmark.pedantic(lambda: by_strips(class_map), rounds=1)
    ratio = times["whole"] / times["strips"]
    benchmark.extra_info["ratio"] = ratio
    title = f"polygonise {SIDE} x {SIDE} by strips, speed of one pass of rasterio.features.shapes"
    report(title, ratio, 1 / 1.3, f"({times['strips']:.2f} s, {by_strips(class_map)} regions)")


def test_writing_a_geopackage(benchmark, class_map, tmp_path):
    grid = Grid(crs="EPSG:32619", transform=[0.5, 0, 5e5, 0, -0.5, 4.6e6], height=SIDE, width=SIDE)

    def one_pass():
        shapes = np.array(whole_pass(class_map), object)
        scale, origin = np.array([0.5, -0.5]), np.array([5e5, 4.6e6])
        ground = shapely.transform(shapes, lambda pixels: pixels * scale + origin)
        pyogrio.raw.write(
            tmp_path / "one.gpkg", shapely.to_wkb(ground), [], [], geometry_type="Polygon",
            crs="EPSG:32619", driver="GPKG",
        )  # fmt: skip

    def ours():
        store = VectorLabelStore(uri=str(tmp_path / "strips.gpkg"))
        with store.writer(grid, CLASSES) as writer:
            for window in sliding(grid, (250, SIDE), edge="pad"):
                writer.write(window, class_map[window.slices])

    times = race({"one pass": one_pass, "store": ours})
    benchmark.pedantic(ours, rounds=1)
    counts = [
        pyogrio.read_info(tmp_path / name)["features"] for name in ("one.gpkg", "strips.gpkg")
    ]
    assert counts[0] == counts[1]
    ratio = times["one pass"] / times["store"]
    report("the store to a GeoPackage, speed of one pass and pyogrio", ratio, 1 / 1.3)


PEAK = """
import sys
from geoseg.grid import Grid
from geoseg.labels.vector import VectorLabelStore
from geoseg.window import Window
from tests.bench.test_polygons import CLASSES, SIDE, crooked

def write(height, name):
    store = VectorLabelStore(uri=f"{sys.argv[2]}/{name}")
    grid = Grid(crs="EPSG:32619", transform=[1, 0, 0, 0, -1, 0], height=height, width=SIDE)
    with store.writer(grid, CLASSES) as writer:
        for row in range(0, height, 250):
            writer.write(Window(row, 0, 250, SIDE), crooked(250, SIDE, top=row))

def megabytes(key):
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith(key)).split()[1]) / 1024

write(500, "warm.gpkg")
with open("/proc/self/clear_refs", "w") as refs:
    refs.write("5")  # the peak so far is forgotten
start = megabytes("VmRSS")
write(int(sys.argv[1]), "out.gpkg")
print(megabytes("VmHWM") - start)
"""


def test_peak_memory(tmp_path):
    peaks = {}
    for height in (3_000, 30_000):
        run = [sys.executable, "-c", PEAK, str(height), str(tmp_path)]
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        peaks[height] = float(done.stdout)
    report(
        "polygonise and write, 4,000 px wide: peak memory of 3,000 rows over that of 30,000",
        peaks[3_000] / peaks[30_000], 0.8,
        f"({peaks[30_000]:.0f} MB above start; {peaks[3_000]:.0f} MB at 3,000 rows)",
    )  # fmt: skip
