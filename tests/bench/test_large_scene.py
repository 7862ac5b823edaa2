"""Predict 30,000 x 30,000 pixels: what memory it takes, and whether it grows with the height."""

from __future__ import annotations

import subprocess
import sys

import pytest
import rasterio

from tests.bench.race import report

pytestmark = pytest.mark.bench

SIDE, PART = 30_000, 10_000
"""Rows and columns of the scene, and of the GeoTIFF that it is made of."""

MOST_MB = 1000
"""What the process may take at its peak, libraries and model included."""

FLAT = 0.9
"""How large the peak of fewer rows must be against that of all."""

_PREDICT = """
import sys, time
import torch
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner.predict import predict
from geoseg.scene import Scene
from geoseg.window import Window
from tests.bench.memory import forget_peak, peak_mb
from tests.bench.test_predict import CLASSES, free_model

torch.set_num_threads(1)
scene = Scene.of(sys.argv[1])
crop = scene.grid.crop(Window(0, 0, int(sys.argv[3]), scene.grid.width))
scene = scene.model_copy(update={"reference": crop})
forget_peak()
begin = time.process_time()
predict(free_model, scene, CLASSES, store=GeoTIFFLabelStore(uri=sys.argv[2]), size=256, stride=128,
        batch_size=16, model_digest="free")
print(peak_mb(), time.process_time() - begin)
"""


@pytest.fixture(scope="session")
def huge_scene(big_scene, tmp_path_factory):
    """The 10,000 x 10,000 GeoTIFF nine times side by side, as a VRT."""
    uri = str(tmp_path_factory.mktemp("huge") / "huge.vrt")
    with rasterio.open(big_scene) as file:
        wkt, transform = file.crs.to_wkt(), file.transform.to_gdal()
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}" blockXSize="512" blockYSize="512">'
        + "".join(
            f"<SimpleSource><SourceFilename>{big_scene}</SourceFilename><SourceBand>{band}</SourceBand>"
            f'<SrcRect xOff="0" yOff="0" xSize="{PART}" ySize="{PART}"/>'
            f'<DstRect xOff="{col}" yOff="{row}" xSize="{PART}" ySize="{PART}"/></SimpleSource>'
            for row in range(0, SIDE, PART)
            for col in range(0, SIDE, PART)
        )
        + "</VRTRasterBand>"
        for band in (1, 2, 3)
    )
    with open(uri, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(
            f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"><SRS>{wkt}</SRS><GeoTransform>'
            f"{', '.join(map(str, transform))}</GeoTransform>{bands}</VRTDataset>"
        )
    return uri


def test_peak_memory_of_a_huge_scene(huge_scene, tmp_path):
    peaks, seconds = {}, {}
    for height in (PART, SIDE):
        out = str(tmp_path / f"{height}.tif")
        done = subprocess.run(
            [sys.executable, "-c", _PREDICT, huge_scene, out, str(height)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks[height], seconds[height] = map(float, done.stdout.split())
        with rasterio.open(out) as map_:
            assert map_.shape == (height, SIDE)
            assert map_.overviews(1)
    note = (
        f"({peaks[SIDE]:.0f} MB, {seconds[SIDE]:.0f} s CPU; at {PART:,} rows {peaks[PART]:.0f} MB)"
    )
    report(f"{SIDE:,} x {SIDE:,} px, {MOST_MB} MB over the peak", MOST_MB / peaks[SIDE], 1, note)
    report(f"peak of {SIDE:,} x {PART:,} over that", peaks[PART] / peaks[SIDE], FLAT)
    assert peaks[SIDE] < MOST_MB
    assert peaks[PART] / peaks[SIDE] >= FLAT
