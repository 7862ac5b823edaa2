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
# # Many small files into one store
#
# Data sets such as BigEarthNet come as millions of small files: a folder a patch, a file a band. Opening them costs far
# more than reading them. Here such a data set becomes one store, a database (LMDB) with a value (safetensors) for
# each patch, it is looked at, trained on, compared with its files bit by bit, and turned back into files.
#
# The patches are cut from the packaged Landsat scene. The real samples of BigEarthNet come in at the end, from the
# folder that the environment variable `GEOSEG_DATA` names.

# %%
import hashlib
import logging
import os
import tempfile
from pathlib import Path

import lmdb
import numpy as np
import pandas as pd
import rasterio
import safetensors.numpy
from torch.utils.data import DataLoader

from geoseg import (
    GeoTIFFSource,
    Learner,
    LMDBDataset,
    Prediction,
    RasterLabels,
    Scene,
    Training,
    plot,
    sample,
)
from geoseg.convert import (
    Group,
    Layout,
    convert,
    find_patches,
    missing_files,
    summary,
    to_geotiff,
    verify,
)
from geoseg.window import sliding

out = Path(tempfile.mkdtemp())
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

# %% [markdown]
# ## A data set of many files
#
# A folder for each patch of 48 x 48 pixels and a file for each band, the last of them with pixels of twice the size;
# beside them a land cover map of each patch. Patches of the south are for training, those of the north for validation.

# %%
classes, size = sample.classes(), 48
image = GeoTIFFSource(uri=sample.image_uri())
labels = RasterLabels(source=sample.labels_uri(), classes=classes, mapping=sample.MAPPING)
grid = image.grid


def write(path, pixels, place, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pixels.shape
    transform = place.transform * place.transform.scale(place.width / width)
    profile = {"driver": "GTiff", "count": 1, "dtype": pixels.dtype, "crs": place.crs, **options}
    with rasterio.open(
        path, "w", height=height, width=width, transform=transform, **profile
    ) as file:
        file.write(pixels, 1)


for window in sliding(grid, size, edge="drop"):
    half = "train" if window.row > grid.height / 2 else "val"
    place, name = grid.crop(window), f"nc_{window.row:03d}_{window.col:03d}"
    for band, pixels in zip(image.band_names, image.read(window).data, strict=True):
        step = 2 if band == "swir1" else 1
        path = out / "images" / half / name / f"{name}_{band}.tif"
        write(path, pixels[::step, ::step], place, nodata=0)
    write(out / "maps" / half / f"{name}_map.tif", labels.read(grid, window), place)

files = sorted(path for path in out.rglob("*.tif"))
print(f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB")
print(files[0].relative_to(out))

# %% [markdown]
# ## Its layout
#
# A layout says what a patch is, how it is called in the store, and which bands it has. geoseg has those of BigEarthNet,
# HySpecNet-11k, UC Merced, EuroSAT, SSL4EO-S12, Major-TOM, Hydro and SpectralEarth (`geoseg convert` lists them). This is
# a new one. `sample` is what patches have in common that belong together, here an image and its map.

# %%
layout = Layout(
    name="carolina",
    title="Landsat patches of North Carolina with land cover",
    groups=(
        Group(
            name="image",
            flag="--images-dir",
            kind="folder",
            pattern=r"^nc_\d+_\d+$",
            file="{name}_{band}.tif",
            bands=image.band_names,
            split="{parent}",
        ),
        Group(
            name="map",
            flag="--maps-dir",
            kind="file",
            pattern=r"^(?P<patch>nc_\d+_\d+)_map\.tif$",
            bands=("classes",),
            sample="{patch}",
            split="{parent}",
        ),
    ),
)
sources = {"image": str(out / "images"), "map": str(out / "maps")}
patches = find_patches(layout, sources)
print(f"{len(patches)} patches, {len(missing_files(layout, patches))} of them incomplete")

# %% [markdown]
# ## Into one store
#
# The store appears when it is whole. `on_error="skip"` leaves out what cannot be read and lists it, `resume=True` goes on
# after a stop. As a file, `layout.to_yaml()` serves the command line:
#
#     geoseg convert carolina.yaml --images-dir images --maps-dir maps --target-dir store
#     geoseg verify store images maps

# %%
store = str(out / "store")
done = convert(layout, sources, store)
print(f"{done.written} patches, {done.bytes / 1e6:.1f} MB, {done.seconds:.2f} s")

# %% [markdown]
# Anybody's code reads the values, without geoseg:

# %%
with lmdb.open(store, readonly=True, lock=False) as env, env.begin() as transaction:
    arrays = safetensors.numpy.load(transaction.get(b"nc_096_144"))
print({name: (array.dtype.name, array.shape) for name, array in arrays.items()})

# %% [markdown]
# Beside the values lies `manifest.parquet`: what they do not tell, a row for each patch.

# %%
manifest = pd.read_parquet(Path(store) / "manifest.parquet")
manifest[["key", "group", "sample", "split", "bands", "shapes", "nodata", "bounds"]].head(3)

# %%
facts = summary(store)  # `geoseg info store` shows it
print(facts["groups"], facts["splits"], facts["crs"])
print(facts["bands"])

# %% [markdown]
# ## Patches for PyTorch
#
# `LMDBDataset` joins what belongs together, brings all bands to one size and serves whole batches. Pixels with nodata are
# not valid; they count in no loss and no score.

# %%
train, val = (
    LMDBDataset(store, join=("image", "map"), labels="map/classes", classes=classes, split=part)
    for part in ("train", "val")
)
item = train[0]
print(len(train), len(val), train.band_names)
print({key: tuple(value.shape) for key, value in item.items() if hasattr(value, "shape")})

# %%
batch = next(iter(DataLoader(train, batch_size=6)))
plot.batch(batch, classes, band_names=train.band_names, titles=batch["scene"])

# %% [markdown]
# ## A model

# %%
training = Training(
    epochs=6,
    size=size,
    length=len(train),
    batch_size=8,
    lr=4e-3,
    augmentation="d4",
    model_options={"width": 16, "depth": 2},
)
learner = Learner(classes, training).fit(train, val)
last = learner.history[-1]
print({key: round(float(value), 3) for key, value in last.items() if isinstance(value, float)})

# %% [markdown]
# Each patch is a scene, too, to be predicted by itself and compared with its map:

# %%
scores = learner.evaluate(val.scenes(), prediction=Prediction(batch_size=1))
print(f"{len(scores.scenes)} patches of the north: mean IoU {scores.mean_iou:.3f}")
tables = {name: counts.confusion for name, counts in scores.scenes.items()}
right = {name: table.trace() / table.sum() for name, table in tables.items()}
worst = min(right, key=right.get)
print(f"the worst is {worst}: {right[worst]:.0%} of its pixels are right")

# %% [markdown]
# The model knows its bands and takes a whole scene: the patches were only its training.

# %%
scene = Scene(id="carolina", image=image, labels=labels)
plot.comparison(scene, learner.predict(scene))

# %% [markdown]
# ## Is it the same?
#
# `verify` reads every file again, through GDAL alone, and compares it with the store bit by bit. Here a pixel of one file is
# changed, and it tells which.

# %%
print(verify(store, sources).ok)
changed = out / "images" / "val" / "nc_096_144" / "nc_096_144_nir.tif"
with rasterio.open(changed, "r+") as file:
    pixels = file.read()
    pixels[0, 5, 7] ^= 1
    file.write(pixels)
for fault in verify(store, sources).errors:
    print(fault.text)

# %% [markdown]
# ## And back
#
# GeoTIFFs again, with CRS, transform and nodata from the manifest: a file for each patch, or, where the bands differ in
# size as here, a folder with a file for each band. `geoseg convert ./store --to geotiff --target-dir back` does it, too.

# %%
back = to_geotiff(store, str(out / "back"))
print(f"{back.patches} patches, {back.files} files")
path = out / "images" / "val" / "nc_000_096" / "nc_000_096_swir1.tif"
with (
    rasterio.open(path) as first,
    rasterio.open(out / "back" / "nc_000_096" / "swir1.tif") as second,
):
    print(np.array_equal(first.read(), second.read()), first.transform == second.transform)

# %% [markdown]
# ## The real thing
#
# The samples of BigEarthNet, into the very bytes that rico-hdl, the program that defined this format, makes of them.

# %%
folder = os.environ.get("GEOSEG_DATA")
real = folder and Path(folder) / "rico" / "BigEarthNet"
if real and real.is_dir():
    pair = {"s1": str(real / "BigEarthNet-S1"), "s2": str(real / "BigEarthNet-S2")}
    convert("bigearthnet", pair, str(out / "ben"), rico_identical=True)
    print(hashlib.sha256((out / "ben" / "data.mdb").read_bytes()).hexdigest())
else:
    print("GEOSEG_DATA names no folder with rico/BigEarthNet: the real samples are left out")
