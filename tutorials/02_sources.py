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
# # Sources: pixels and features of every kind, on one grid
#
# A source is where pixels or features come from. Whatever it is made of (a GeoTIFF, a pyramid of map
# tiles, a database of patches, a stack of dates), it reads windows of its grid as a chip: data in the
# file's own dtype, and where they are valid. `WarpedSource` brings any of them onto any other grid when a
# window is read.
#
# The first half works with the sample that comes with the package. The second half looks at real map
# tiles; it needs the folder that the environment variable `GEOSEG_DATA` names and says so without it.

# %%
import logging
import os
import tempfile
from pathlib import Path

import geopandas
import numpy as np
from IPython.display import display
from pydantic import ValidationError
from shapely.geometry import LineString, Point

from geoseg import (
    ArraySource,
    ClassMap,
    FrameSource,
    GeoTIFFSource,
    LMDBSource,
    MBTilesSource,
    Scene,
    StackSource,
    StoreWriter,
    TimeStackSource,
    VectorLabels,
    WarpedSource,
    Window,
    materialize,
    plot,
    sample,
)
from geoseg.sources import Buffer, InferClass, Percentile, Reclass, Standardize

out = Path(tempfile.mkdtemp())
logging.basicConfig(format="%(message)s")
logging.getLogger("geoseg").setLevel(logging.INFO)

# %% [markdown]
# ## Any grid
#
# The sample's Landsat scene lies in the state plane of North Carolina. Here it is on a UTM grid with
# pixels of 100 m: the source is finer than that, so that its pixels are averaged. The choice is logged.

# %%
landsat = GeoTIFFSource(uri=sample.image_uri())
print(landsat.grid.describe(), landsat.band_names)

utm = landsat.grid.reprojected("EPSG:32617", resolution=100)
coarse = WarpedSource(source=landsat, onto=utm)
plot.scene(Scene(id="100 m", image=coarse))

# %% [markdown]
# A window that is read alone equals the crop of a larger one: nothing hangs on how a scene is cut.

# %%
whole = coarse.read(utm.whole)
part = Window(row=33, col=41, height=50, width=47)
alone = coarse.read(part)
assert (alone.data == whole.data[:, *part.slices]).all()
assert (alone.valid == whole.valid[part.slices]).all()

# %% [markdown]
# ## Transforms
#
# Every source takes transforms, which change its pixels as they are read. Those that follow from the
# data look at the whole source once, at its valid pixels only, and never at a single chip.

# %%
shown = Percentile.of(landsat, lower=2, upper=98)
standard = Standardize.of(landsat)
print("2 % and 98 %:", shown.low, shown.high)

stretched = GeoTIFFSource(uri=sample.image_uri(), bands=("red", "green", "blue"))
stretched = stretched.model_copy(update={"transforms": (Percentile.of(stretched),)})
plot.scene(Scene(id="stretched", image=stretched))

# %% [markdown]
# Numbers of classes stay numbers of classes: what came out of `Reclass` is never interpolated.

# %%
landcover = GeoTIFFSource(
    uri=sample.labels_uri(), transforms=(Reclass(mapping=dict(sample.MAPPING)),)
)
classes_there = WarpedSource(source=landcover, onto=landsat)
print(classes_there.plan.resampling)
print(np.unique(classes_there.read(Window(row=200, col=200, height=64, width=64)).data))
try:
    WarpedSource(source=landcover, onto=landsat, resampling="bilinear")
except ValidationError as error:
    print(error.errors()[0]["msg"])

# %% [markdown]
# ## Stacks, in bands and in time
#
# A stack joins the bands of several sources, whatever their grids. A time stack is a source as well: its
# bands are named by date. A date whose image does not reach a place is masked there.

# %%
both = StackSource(sources=(landsat, classes_there))
print(both.band_names)

early = WarpedSource(source=landsat, onto=utm)
half = Window(row=0, col=0, height=utm.height // 2, width=utm.width)
late = ArraySource(data=early.read(half).data, grid=utm.crop(half), band_names=early.band_names)
seasons = TimeStackSource(sources=(early, late), times=("2000-03-31", "2000-07-05"), require="any")
print(seasons.band_names)
stack = seasons.read_stack(Window(row=utm.height // 2 - 20, col=40, height=40, width=40))
print(stack.data.shape, [f"{share:.0%}" for share in stack.valid.mean(axis=(1, 2))])

# %% [markdown]
# ## Points and lines as labels
#
# Features take transforms too. Here two roads and a well become polygons, as wide as they are on the
# ground, and get their classes from a column.

# %%
centre = landsat.grid.bounds[0] + 5_000, landsat.grid.bounds[1] + 4_500
features = geopandas.GeoDataFrame(
    {"kind": ["road", "track", "well"]},
    geometry=[
        LineString([centre, (centre[0] + 6_000, centre[1] + 2_000)]),
        LineString([centre, (centre[0] - 1_000, centre[1] + 5_000)]),
        Point(centre[0] + 3_000, centre[1] - 2_000),
    ],
    crs=landsat.grid.crs,
)
drawn = FrameSource(
    frame=features,
    transforms=(
        InferClass(value_by="kind", values={"road": "way", "track": "way", "well": "water"}),
        Buffer(lines_m={"way": 150}, points_m=400, class_by="class"),
    ),
)
labels = VectorLabels(
    source=drawn, classes=ClassMap.of("nothing", "way", "water"), class_by="class"
)
plot.scene(Scene(id="drawn", image=landsat, labels=labels), Window(80, 80, 350, 400))

# %% [markdown]
# ## Warped once
#
# What is read many times can be brought onto its grid once: an aligned, tiled GeoTIFF. Reading it is a
# plain read.

# %%
copy = materialize(coarse, str(out / "aligned.tif"))
assert copy.grid == utm
assert (copy.read(part).data == alone.data).all()

# %% [markdown]
# ## Databases of patches
#
# A store keeps the bands of many patches by key, each as safetensors in one LMDB. A patch is a source as
# any other, with bands of mixed size brought onto one grid, and with its place on the ground.

# %%
chip = landsat.read(Window(row=240, col=200, height=120, width=120))
with StoreWriter(str(out / "patches")) as writer:
    writer.write(
        "patch_240_200",
        {"red": chip.data[2], "nir": chip.data[3], "swir1": chip.data[4, ::2, ::2]},
        grid=landsat.grid.crop(Window(row=240, col=200, height=120, width=120)),
    )

patch = LMDBSource(uri=str(out / "patches"), key="patch_240_200", bands=("nir", "swir1", "red"))
print(patch.grid.describe(), patch.band_names)
plot.scene(Scene(id="patch", image=patch))

# %% [markdown]
# ## Map tiles
#
# From here on the pictures need real data: a pyramid of JPEG tiles over Zanzibar, and a GeoTIFF of the
# same place on another grid. `preflight` looks at every tile before the work begins.

# %%
folder = os.environ.get("GEOSEG_DATA")
if folder is None:
    print("GEOSEG_DATA is not set: the rest of this page is skipped")

# %%
if folder:
    tiles = MBTilesSource(uri=f"{folder}/oam_buildings/zanzibar.mbtiles")
    print(tiles.preflight())
    print(tiles.grid.describe())

# %% [markdown]
# The tiles on the grid of the GeoTIFF, beside the GeoTIFF itself.

# %%
if folder:
    reference = GeoTIFFSource(uri=f"{folder}/oam_buildings/zanzibar_a_z19.tif")
    aligned = WarpedSource(source=tiles, onto=reference)
    print(f"{aligned.plan.ratio:.0f} times finer; {aligned.plan.resampling}")
    display(plot.scene(Scene(id="tiles on the GeoTIFF's grid", image=aligned)))

# %%
if folder:
    display(plot.scene(Scene(id="the GeoTIFF", image=reference)))

# %% [markdown]
# And on a UTM grid of 5 m, far coarser than the tiles: they are read from a coarser zoom.

# %%
if folder:
    metres = reference.grid.reprojected("EPSG:32737", resolution=5)
    far = WarpedSource(source=tiles, onto=metres)
    print(
        f"{far.plan.ratio:.0f} times finer; {far.plan.resampling} from {far.plan.grid.describe()}"
    )
    display(plot.scene(Scene(id="5 m, UTM 37S", image=far)))
