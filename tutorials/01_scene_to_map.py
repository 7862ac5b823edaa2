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
# # From a scene to a map
#
# A real satellite scene, a real land cover map, and a model that learns the one from the other, in about
# a minute on two CPU cores. The data are part of the package: Landsat 7 of the year 2000 around Raleigh,
# North Carolina, and the state's land cover of 1996.
#
# Every noun you meet here (source, labels, scene, training) is a small frozen object that can be
# compared, printed and written to YAML. Nothing is read before it is needed.

# %%
import tempfile
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader

from geoseg import (
    ClassMap,
    FileVectorSource,
    GeoTIFFLabelStore,
    GeoTIFFSource,
    Learner,
    RandomWindowGeoDataset,
    RasterLabels,
    Scene,
    Training,
    Window,
    evaluate,
    plot,
    sample,
)
from geoseg.datasets import collate

out = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Pixels
#
# A source reads pixels of a window of its grid. What comes back is a chip: the data in the file's own
# dtype, and where they are valid. The frame around this scene is nodata, and so it is not valid; it will
# never become a class, a zero in a mean or an error in a score.

# %%
image = GeoTIFFSource(uri=sample.image_uri())
print(image.grid.describe())
print(image.band_names, image.dtype)

chip = image.read(Window(row=200, col=150, height=100, width=120))
print(chip.data.shape, f"{chip.valid.mean():.0%} valid")

# %% [markdown]
# ## Labels
#
# The land cover lies in another CRS than the image. That is the normal case: labels are brought onto
# the image's grid, window by window, and only by methods that invent no class. Its seven classes are
# merged to four by a mapping from the numbers in the file to class ids.

# %%
classes: ClassMap = sample.classes()
labels = RasterLabels(source=sample.labels_uri(), classes=classes, mapping=sample.MAPPING)
print(labels.source.grid.describe())
print(dict(zip(classes.ids, classes.names, strict=True)))

# %% [markdown]
# ## Scenes
#
# A scene joins an image with labels and an area of interest. The same image serves twice here: the model
# learns in the south and is scored in the north. Some rows between them belong to neither.

# %%
halves = {
    half: Scene(id=half, image=image, labels=labels, aoi=FileVectorSource(uri=sample.aoi_uri(half)))
    for half in ("north", "south")
}
for scene in halves.values():
    scene.check()  # opens everything once; an error here names the file and the cure

plot.scene(halves["south"])

# %% [markdown]
# Outside the area of interest labels are ignored, as they are wherever the image is not valid.

# %%
look = halves["south"].read(Window(row=200, col=200, height=60, width=60))
ids, counts = np.unique(look.labels, return_counts=True)
print(dict(zip(ids.tolist(), counts.tolist(), strict=True)), "255 is ignored")

# %% [markdown]
# ## Windows for training
#
# A data set serves windows of scenes to PyTorch. The Learner makes one by itself; this is what it sees.

# %%
windows = RandomWindowGeoDataset([halves["south"]], size=64, length=8, seed=1)
batch = next(iter(DataLoader(windows, batch_size=4, collate_fn=collate)))
{key: getattr(value, "shape", value) for key, value in batch.items()}

# %%
plot.batch(batch, classes, band_names=image.band_names)

# %% [markdown]
# ## Training
#
# The options below are those of `geoseg demo`, with fewer epochs. The built-in U-Net needs nothing but
# torch; any `nn.Module` of your own can be given instead.

# %%
training = Training(epochs=12, size=64, length=128, batch_size=16, lr=4e-3, seed=0)
learner = Learner(classes, training).fit([halves["south"]], [halves["north"]])
print({key: round(value, 3) for key, value in learner.history[-1].items()})

# %%
plot.history(learner.history)

# %% [markdown]
# ## The model file
#
# A bundle holds the weights and everything that the model knows of its data: classes, bands, dtype,
# statistics, resolution. Opening one runs no code. A scene whose bands or dtype do not fit is refused.

# %%
learner.save(str(out / "model.zip"))
learner = Learner.load(str(out / "model.zip"))
print(learner.data.band_names, learner.data.resolution_m)

# %% [markdown]
# ## The map
#
# Prediction slides overlapping windows over the scene, blends their scores, and writes rows as soon as
# they are final: memory does not grow with the height of the scene. The map is a cloud optimised GeoTIFF
# with colours and class names.

# %%
store = GeoTIFFLabelStore(uri=str(out / "map.tif"))
prediction = learner.predict(halves["north"], store)
plot.comparison(halves["north"], prediction)

# %% [markdown]
# ## The score
#
# One confusion matrix over all pixels, block by block. Ignored pixels are left out and counted.

# %%
evaluation = evaluate(labels.on(image.grid), prediction, halves["north"].aoi)
print(evaluation.table())
plot.evaluation(evaluation)

# %%
assert evaluation.to_dict()["overall"]["mean_iou"] > 0.42
assert prediction.grid == image.grid
