# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Volumes
#
# A time stack with a label for each pixel **and** date is a volume: its depth is time. Slices of radar, voxels of LiDAR,
# CT scans of cores are volumes too. geoseg reads and writes them as a zip of arrays and Parquet tables with run-length masks, the layout of H2O
# Hydrogen Torch, and learns from them in 3D.
#
# ## A time stack with honest labels
#
# There is one date of the packaged scene, so this notebook makes the others, and with them labels that are true by
# construction: on each date a flood rises around its own place, a little further each time, and darkens the pixels
# as water does. Each year shows another corner of the scene in its own light. The first four years are for training, the
# fifth is for validation, the sixth is kept for the test.

# %%
import tempfile
from pathlib import Path

import numpy as np

from geoseg import Learner, Training, plot, sample
from geoseg.sources import GeoTIFFSource
from geoseg.volumes import VolumeFolderWriter, VolumeZip, VolumeZipWriter

out = Path(tempfile.mkdtemp())
source = GeoTIFFSource(uri=sample.image_uri())
chip = source.read(source.grid.whole)
print(source.grid.describe(), source.band_names, chip.data.dtype)

# %%
rng = np.random.default_rng(0)
dates = 6
depth, height, width = dates, 96, 112


def year(row, col):
    """Image (channel, depth, height, width) and flood (depth, height, width) of six dates of a corner."""
    base = chip.data[:3, row : row + height, col : col + width].astype("float32")
    y, x = np.ogrid[:height, :width]
    centre = rng.uniform(0.3, 0.7, 2) * (height, width)
    away = np.hypot(y - centre[0], (x - centre[1]) * rng.uniform(0.6, 1.4))
    flood = np.stack([away < 6 + 5 * date for date in range(dates)])
    light = rng.uniform(0.8, 1.2) * rng.uniform(0.9, 1.1, (1, dates, 1, 1))
    seasons = base[:, None] * light
    seasons = np.where(flood, 0.4 * seasons, seasons) + rng.normal(0, 3, (3, *flood.shape))
    return seasons.clip(1, 255).astype("uint8"), flood


# %% [markdown]
# ## Into a zip
#
# CRS, transform and dates go into the metadata of the tables, so that other readers of the layout still work. The
# order of axes is written there too: nothing else in such a file tells it.

# %%
grid = source.grid
years = {
    "2019": (240, 60),
    "2020": (100, 150),
    "2021": (330, 200),
    "2022": (20, 20),
    "2023": (200, 300),
    "2024": (20, 320),
}
split = dict(zip(years, (*["train"] * 4, "validation", "test"), strict=True))
truth = {}
with VolumeZipWriter(str(out / "floods.zip"), ["flood"]) as writer:
    for name, (row, col) in years.items():
        image, flood = year(row, col)
        truth[name] = flood
        writer.write(
            name,
            image,
            None if split[name] == "test" else {"flood": flood},
            split[name],
            crs=grid.crs,
            transform=grid.transform @ grid.transform.translation(col, row),
            times=[f"{name}-{month:02d}-01" for month in range(1, dates + 1)],
            channel_names=source.band_names[:3],
        )

# %% [markdown]
# ## A look, and a check
#
# Before training, every image and mask is read once; problems would be told one a line. The same is
# `geoseg volumes check floods.zip`. Masks in files of other programs may be written along other axes than one thinks:
# `diagnose_axes` compares how smooth they are either way.

# %%
floods = VolumeZip(out / "floods.zip", validation="validation.pq", test="test.pq")
report = floods.validate()
print(report.errors, report.warnings, floods.diagnose_axes().dialect)
assert report.ok

# %%
plot.volume(floods.frame("train")[0])

# %%
plot.montage(floods.frame("train")[1])

# %% [markdown]
# ## A 3D network
#
# The built-in U-Net does not pool along a depth that is thin. Windows are (depth, height, width).

# %%
training = Training(
    model="unet3d",
    loss="cross_entropy+dice",
    size=(6, 24, 24),
    epochs=12,
    length=96,
    batch_size=4,
    lr=1e-2,
    model_options={"width": 6, "depth": 2},
)
learner = Learner(floods.classes, training).fit(floods.frame("train"), floods.frame("validation"))
print(learner.evaluate(floods.frame("validation"), stride=(6, 16, 16)).table())

# %% [markdown]
# ## Prediction
#
# Windows are joined slab by slab: memory does not grow with the depth. The result is a zip of the same layout, or a
# folder of maps, one GeoTIFF a date, each at its place.

# %%
test = floods.frame("test")
with VolumeZipWriter(str(out / "predicted.zip"), floods.classes) as store:
    learner.predict(test, store, stride=(6, 16, 16))
predicted = VolumeZip(out / "predicted.zip").frame("train")[0]
plot.volume(predicted)

# %%
mask = predicted.masks()[0]
dice = 2 * (mask & truth["2024"]).sum() / (mask.sum() + truth["2024"].sum())
print(f"Dice of the test year, which has no labels in the zip: {dice:.3f}")
assert dice > 0.75

# %%
with VolumeFolderWriter(str(out / "maps"), floods.classes, kind="geotiff") as folder:
    folder.write(
        predicted.name,
        predicted.image(),
        {"flood": mask},
        crs=predicted.crs,
        transform=predicted.transform,
        times=predicted.times,
    )
print(sorted(path.name for path in (out / "maps").iterdir()))

# %% [markdown]
# On a command line:
#
# ```
# geoseg volumes check floods.zip
# geoseg volumes train floods.zip --out bundle.zip --size 6,24,24 --epochs 5
# geoseg volumes predict bundle.zip floods.zip predicted.zip
# geoseg volumes convert predicted.zip maps --as geotiff
# ```
