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
# # Making maps
#
# A trained model meets a large scene: how the map is made in bounded memory, goes on after a stop, is shared
# between machines, becomes polygons, and is judged. The first part works on the packaged sample. The
# second finds buildings in drone imagery of Zanzibar; it needs the folder that the environment variable
# `GEOSEG_DATA` names and says so without it.

# %%
import os
import tempfile
import warnings
from pathlib import Path

import geopandas
import numpy as np
import rasterio

from geoseg import (
    ArraySource,
    ClassMap,
    FileVectorSource,
    GeoTIFFLabelStore,
    Learner,
    Prediction,
    RasterLabels,
    Scene,
    Scoring,
    Training,
    VectorLabelStore,
    Window,
    combine,
    evaluate,
    merge,
    plot,
    sample,
    threshold,
)

out = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A model
#
# Two short trainings with different seeds give two models of the same kind. The scenes are those of the
# first tutorial: one learns in the south, the map is made of the north.

# %%
classes: ClassMap = sample.classes()
labels = RasterLabels(source=sample.labels_uri(), classes=classes, mapping=sample.MAPPING)
south, north = (
    Scene.of(sample.image_uri(), labels, aoi=FileVectorSource(uri=sample.aoi_uri(half)), id=half)
    for half in ("south", "north")
)
training = Training(epochs=4, size=64, length=96, batch_size=16, lr=4e-3)
first, second = (
    Learner(classes, training.model_copy(update={"seed": seed})).fit([south]) for seed in (0, 1)
)

# %% [markdown]
# ## What a map keeps
#
# A store says what is kept: class ids always, scores, their highest value and their entropy on request, all in one
# pass. Each kind is a file of its own, because colours and nodata hold for a whole file.

# %%
store = GeoTIFFLabelStore(uri=str(out / "map.tif"), scores=True, confidence=True, entropy=True)
map_ = first.predict(north, store)
for path in sorted(out.glob("map*.tif")):
    with rasterio.open(path) as file:
        print(path.name, file.count, file.dtypes[0], file.nodata, file.scales[0], file.overviews(1))

# %% [markdown]
# Windows overlap, and their scores are blended: `hann` by default. Averaging over mirrored positions of each window
# (`tta`) costs four times the time, or eight, and often helps a little.

# %%
options = Prediction(stride=48, blend="gaussian", tta="flips")
steady = first.predict_as(options, north)
print(f"{(steady.to_array() != map_.to_array()).mean():.1%} of the pixels have another class")

# %% [markdown]
# ## Judged in the same pass
#
# `Learner.evaluate` predicts and compares while rows are finished, so that nothing is read twice. Beside the
# pixels it can look at boundaries and objects, and draw blocks again for intervals.

# %%
scoring = Scoring(boundary_px=2, bootstrap=200, block_px=64)
found = first.evaluate([north], prediction=options, scoring=scoring)
print(found.table())

# %% [markdown]
# ## Two models, and thresholds
#
# Labels that hold scores can be combined, here by their mean, and a class can be asked for more than the highest
# score: water only where its score is 0.6 or more. The result is written as any labels are.

# %%
both = combine([map_, second.predict(north)])
careful = threshold(both, {"water and sediment": 0.6})
written = GeoTIFFLabelStore(uri=str(out / "careful.tif")).write(careful)
print(evaluate(labels.on(north.grid), written, north.aoi).mean_iou)

# %% [markdown]
# ## Stopped and resumed
#
# Finished bands of 512 rows are kept beside the output until it is whole. A run that was stopped, by Ctrl-C,
# a full disk or a lost machine, goes on with `resume=True`, and its map is equal to the byte to that of a
# run that was never stopped. Here the run is stopped by an exception when rows of the second band are ready.


# %%
class PowerCutError(Exception):
    """Stands for whatever ends a run."""


def stop_at_second_band(window: Window, _ids: np.ndarray) -> None:
    """What sees the rows when they are finished can stop the run too."""
    if window.row_stop > 512:
        raise PowerCutError


chip = north.image.read(north.grid.whole)
image = ArraySource(  # three times the scene, one below the other
    data=np.tile(chip.data, (1, 3, 1)),
    valid=np.tile(chip.valid, (3, 1)),
    grid=north.grid.model_copy(update={"height": 3 * north.grid.height}),
    band_names=north.image.band_names,
)
tall = Scene(id="tall", image=image)
plain = Prediction(stride=64)
target = GeoTIFFLabelStore(uri=str(out / "tall.tif"))
try:
    first.predict_as(plain, tall, target, seen=stop_at_second_band)
except PowerCutError as stop:
    print(stop.__notes__[0].replace(str(out), "."))
first.predict_as(plain, tall, target, resume=True)
straight = GeoTIFFLabelStore(uri=str(out / "straight.tif"))
first.predict_as(plain, tall, straight)
print((out / "tall.tif").read_bytes() == (out / "straight.tif").read_bytes())

# %% [markdown]
# ## Shared between machines
#
# `shard=(i, n)` predicts one of n stretches of rows, with no word between the machines, and `merge` joins
# the parts: again the map of one run, to the byte. On the command line: `geoseg predict ... --shard 0/2`
# and `geoseg merge PART... OUT`.

# %%
parts = [str(out / f"part{i}.tif") for i in range(2)]
for i, part in enumerate(parts):
    first.predict_as(plain, tall, GeoTIFFLabelStore(uri=part), shard=(i, 2))
merge(parts, GeoTIFFLabelStore(uri=str(out / "merged.tif")))
print((out / "merged.tif").read_bytes() == (out / "straight.tif").read_bytes())

# %% [markdown]
# ## Buildings of Zanzibar
#
# Two parts of a town, photographed from a drone, with building outlines of OpenStreetMap in another CRS. The model
# learns from pixels of 0.30 m; the scene to be mapped comes in pixels of 0.15 m.

# %%
folder = os.environ.get("GEOSEG_DATA")
if folder is None:
    print("GEOSEG_DATA is not set: the rest of this page is skipped")


# %%
def zanzibar(part: str, zoom: int) -> Scene:
    """One part of the town at one resolution."""
    stem = f"{folder}/oam_buildings/zanzibar_{part}_z{zoom}"
    kinds = ClassMap.of("background", "building")
    return Scene.of(f"{stem}.tif", f"{stem}.geojson", classes=kinds, class_by="class_name")


if folder:
    town = Training(
        size=128,
        length=128,
        batch_size=16,
        epochs=8,
        lr=2e-3,
        loss="cross_entropy+dice",
        augmentation="d4+light",
    )
    learner = Learner(ClassMap.of("background", "building"), town).fit([zanzibar("a", 19)])
    learner.save(str(out / "buildings.zip"))
    learner = Learner.load(str(out / "buildings.zip"))
    print("trained on pixels of", learner.data.resolution_m, "m")

# %% [markdown]
# The bundle knows on which resolution it was trained. A scene of another one is predicted with a warning; with
# `resolution="trained"` it is brought to the pixels that the model knows, and the map lies on that grid.

# %%
if folder:
    fine = zanzibar("b", 20)
    scores = {}
    for resolution in ("image", "trained"):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            result = learner.evaluate([fine], prediction=Prediction(resolution=resolution))
        scores[resolution] = result.to_dict()["overall"]["per_class"][1]["iou"]
        print(
            f"{resolution}: building IoU {scores[resolution]:.3f}", *(str(w.message) for w in told)
        )

# %% [markdown]
# ## Polygons
#
# A `VectorLabelStore` makes polygons while the rows come in, strip by strip; pieces on both sides of a seam are
# joined, so that their number does not hang on the strips. Here specks are left out, and outlines are straightened.
# Most buildings are rectangles: those regions that nearly fill one are drawn as one.

# %%
if folder:
    polygons = VectorLabelStore(
        uri=str(out / "buildings.gpkg"),
        only="building",
        scores=True,
        min_area_m2=8,
        denoise_px=5,
        simplify_m=0.6,
        rectangle_iou=0.8,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells how many specks were left out
        learner.predict(fine, polygons, resolution="trained")
    frame = geopandas.read_file(out / "buildings.gpkg")
    print(len(frame), "buildings;", frame.crs.name)
    print(frame[["class_name", "score"]].describe().loc[["mean", "min", "max"]])

# %%
plot.polygons(fine, str(out / "buildings.gpkg")) if folder else None

# %%
if folder:
    assert scores["trained"] > 0.4
    assert len(frame) > 50
    assert frame["score"].between(0.3, 1).all()
