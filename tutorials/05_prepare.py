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
# # From raw layers to a trained model
#
# Most projects begin with two layers that were not made for each other: imagery, and polygons that somebody drew.
# Here these are map tiles of Zanzibar and building outlines of OpenStreetMap. They become masks, windows, a
# split without leaks, a report of what is wrong with them, and a model. The layers lie in the folder that the
# environment variable `GEOSEG_DATA` names; without it the packaged sample stands in, an image of North Carolina
# with polygons of its land cover.

# %%
import json
import os
import tempfile
from pathlib import Path

import geopandas
import pandas as pd
from IPython.display import Image
from shapely.geometry import box

from geoseg import (
    ClassMap,
    GeoTIFFSource,
    Grid,
    Learner,
    MBTilesMaskWindowedDataset,
    MBTilesSource,
    RasterLabels,
    Training,
    VectorLabelStore,
    WindowIndex,
    prepare,
    sample,
)

out = Path(tempfile.mkdtemp())
folder = os.environ.get("GEOSEG_DATA")
if folder:
    town = Path(folder) / "oam_buildings"
    imagery = MBTilesSource(uri=str(town / "zanzibar.mbtiles"), zoom=19)
    outlines = [geopandas.read_file(town / f"zanzibar_{part}_z19.geojson") for part in "ab"]
    polygons = geopandas.GeoDataFrame(pd.concat(outlines, ignore_index=True), crs="EPSG:4326")
    corners = [Grid.of(str(town / f"zanzibar_{part}_z19.tif")).bounds for part in "ab"]
    classes, size, block_m, buffer_m = ClassMap.of("background", "building"), 64, 100, 10
else:
    print("GEOSEG_DATA is not set: the packaged sample stands in")
    imagery = GeoTIFFSource(uri=sample.image_uri())
    left, bottom, right, top = imagery.grid.bounds
    middle = (bottom + top) / 2
    corners = [(left, middle, right, top), (left, bottom, right, middle)]
    classes, size, block_m, buffer_m = sample.classes(), 16, 2000, 60
    labels = RasterLabels(source=sample.labels_uri(), classes=classes, mapping=sample.MAPPING)
    VectorLabelStore(uri=str(out / "land.gpkg")).write(labels.on(imagery.grid))
    polygons = geopandas.read_file(out / "land.gpkg")
print(f"{len(polygons)} polygons, {imagery.grid.describe()}")

# %% [markdown]
# ## Masks
#
# The masks get the pixels of the imagery, for Zanzibar those of zoom 19 (30 cm on the ground). The outlines there are
# complete in two rectangles only; outside of them nobody looked. These are the frames: one mask for each, and
# what lies outside is not background but unknown. One pixel on both sides of a boundary is ignored, since
# nobody draws better than that.

# %%
frames = geopandas.GeoDataFrame(
    {"name": ["a", "b"]}, geometry=[box(*bounds) for bounds in corners], crs=imagery.grid.crs
)
burnt = prepare.masks(
    polygons,
    imagery,
    out / "masks",
    class_by="class_name",
    class_map=classes,
    background=0 if folder else None,
    frames=frames,
    frame_id="name",
    ignore_ring_px=1,
)
report = burnt.to_dict()
pd.DataFrame(report["classes"])[["name", "features", "vector_area_m2", "burnt_area_m2", "pixels"]]

# %% [markdown]
# The buildings' burnt and drawn areas differ by a hundredth of a per cent: nothing was lost or shifted on the way.
#
# ## Windows
#
# An index is a table of windows. It names masks by paths relative to itself, so that the folder can move.

# %%
index = WindowIndex.build([mask.path for mask in burnt.masks], patch_size=size)
print(f"{len(index)} windows, {index.coverage().share:.0%} of the masks' pixels")
index.table.head(3)

# %% [markdown]
# ## A split without leaks
#
# Windows side by side look alike: dealt at random, training and test would share streets and roofs. Blocks of
# 100 m (of the sample: 2 km) are dealt whole, with the classes alike in each part, and no window of one part lies
# nearer than 10 m (60 m) to another part's: those are dropped. The file is read back and looked through before the function returns.

# %%
parts = prepare.split(
    index,
    out / "windows.parquet",
    block_m=block_m,
    buffer_m=buffer_m,
    seed=1,
    map_png=out / "split.png",
)
print(parts.to_dict()["windows"])

# %%
Image(filename=str(out / "split.png"))

# %% [markdown]
# ## A look at the data
#
# `check` looks for what spoils a training: unknown ids, empty and equal windows, damaged files, labels that lie beside
# what they show, parts that leak. It writes a page for people and JSON for programs. Where it finds an error,
# `geoseg prepare check` ends with exit code 1.

# %%
checked = prepare.check(
    parts.uri,
    classes=classes,
    image=imagery,
    buffer_m=buffer_m,
    report=out / "check",
)
for finding in checked.findings:
    print(f"{finding.severity}: {finding.title} ({finding.count} {finding.unit}); {finding.cure}")
print("no errors" if checked.ok else "errors", "-", checked.html_uri)
assert checked.ok

# %%
facts = json.loads((out / "check" / "check.json").read_text())
pd.DataFrame(facts["classes"])

# %% [markdown]
# ## A model
#
# The data set reads windows of the tiles as they are asked for; nothing was cut or copied. Rows of another part
# and dropped ones are left out.

# %%
train, val, test = (
    MBTilesMaskWindowedDataset(
        imagery,
        window_index_cache=parts.uri,
        patch_size=size,
        n_classes=len(classes),
        split=part,
        ignore_index=255,
    )
    for part in ("train", "val", "test")
)
training = Training(
    epochs=12,
    size=size,
    length=len(train),
    batch_size=16,
    lr=4e-3,
    augmentation="d4+light",
    model_options={"width": 16, "depth": 2},
)
learner = Learner(classes, training).fit(train, val)
last = learner.history[-1]
print({key: round(float(value), 3) for key, value in last.items() if isinstance(value, float)})

# %% [markdown]
# ## All of it as one file
#
# The same steps stand in a pipeline: it is run by `geoseg prepare run pipeline.yaml`, and a second run does only
# what has changed. The folder keeps a log, and a manifest with inputs, versions and the seed.

# %%
frames.to_file(out / "frames.gpkg")
polygons.to_file(out / "polygons.gpkg")
source = json.dumps(imagery.model_dump(mode="json"))  # JSON is YAML too
(out / "pipeline.yaml").write_text(f"""
output: prepared
seed: 1
steps:
  - type: masks
    vectors: polygons.gpkg
    reference: {source}
    out: prepared/masks
    class_by: class_name
    class_map: {json.dumps(classes.model_dump(mode="json"))}
    background: {"0" if folder else "null"}
    frames: frames.gpkg
    frame_id: name
    ignore_ring_px: 1
  - type: tile
    image: {source}
    masks: prepared/masks
    out: prepared/tiles
    patch_size: {size}
    min_valid: 0.5
    empty: 0.5
  - type: split
    index: prepared/tiles/index.parquet
    out: prepared/windows.parquet
    block_m: {block_m}
    buffer_m: {buffer_m}
  - type: check
    index: prepared/windows.parquet
    report: prepared/check
    buffer_m: {buffer_m}
""")
pipeline = prepare.Pipeline.from_yaml(out / "pipeline.yaml")
for turn in ("first", "second"):
    done = prepare.run(pipeline)
    print(turn, [(step.type, "done before" if step.reused else "done") for step in done.steps])
