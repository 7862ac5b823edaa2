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
# # A Lightning script
#
# The Learner is a thin layer over two plain Lightning classes: `SegmentationModule`, a network with its
# normalisation, loss, optimizer and scores, and `SegmentationData`, the windows. Here they meet a Trainer
# of your own, with your callbacks, your logger and your network. At the end the model comes back to the
# Learner, to draw a map.
#
# The data are the packaged Landsat scene and land cover of the first tutorial.

# %%
import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch import nn

from geoseg import (
    Learner,
    Scene,
    SegmentationData,
    SegmentationModule,
    Training,
    Window,
    plot,
    sample,
)
from geoseg.datasets import ImageFolderDataset

out = Path(tempfile.mkdtemp())
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", message=".*does not have many workers.*")
warnings.filterwarnings("ignore", category=FutureWarning)

# %% [markdown]
# ## Data
#
# `SegmentationData` takes scenes as objects, or as the plain values that a YAML file holds; that is how
# LightningCLI and Hydra use it. Labels that name no classes get those of the module.
#
# Water is rare here. `sampling` lays a fifth of the training windows around a pixel of it; the rest are
# drawn anywhere.

# %%
classes = sample.classes()


def half(name):
    return {
        "id": name,
        "image": sample.image_uri(),
        "labels": {"type": "raster", "source": sample.labels_uri(), "mapping": sample.MAPPING},
        "aoi": sample.aoi_uri(name),
    }


water = next(name for name in classes.names if "water" in name)
data = SegmentationData(
    train=[half("south")],
    valid=[half("north")],
    size=64,
    length=96,
    batch_size=16,
    sampling={"class_balance": {water: 0.2}},
)
assert isinstance(data.train[0], Scene)

# %% [markdown]
# ## A network of your own
#
# Anything from (batch, channel, height, width) to logits (batch, class, height, width) will do. A name such
# as `"unet"` or `"unet/resnet34"` would take one from geoseg or from segmentation-models-pytorch.


# %%
class Dilated(nn.Sequential):
    """Convolutions that look further and further, at full resolution."""

    def __init__(self, channels, classes, width=16):
        layers = []
        for before, dilation in zip((channels, width, width, width), (1, 2, 4, 8), strict=True):
            layers += [
                nn.Conv2d(before, width, 3, padding=dilation, dilation=dilation, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        super().__init__(*layers, nn.Conv2d(width, classes, 1))


module = SegmentationModule(
    classes,
    in_channels=5,
    model=Dilated(5, len(classes)),
    loss="cross_entropy+dice",
    lr=1e-2,
)

# %% [markdown]
# ## Your Trainer
#
# Callbacks and loggers are Lightning's own. What the module logs is called `train_loss`, `valid_loss` and
# `valid_mean_iou`. Before the first step it measures mean and deviation of the training scenes, unless they
# were given; they are saved with the weights.

# %%
best = ModelCheckpoint(out / "checkpoints", monitor="valid_mean_iou", mode="max")
pl.seed_everything(0)
trainer = pl.Trainer(
    max_epochs=10,
    accelerator="cpu",
    logger=CSVLogger(out, name="dilated"),
    callbacks=[
        best,
        EarlyStopping("valid_mean_iou", mode="max", patience=6),
        LearningRateMonitor("step"),
    ],
    enable_progress_bar=False,
    enable_model_summary=False,
    num_sanity_val_steps=0,
    log_every_n_steps=1,
)
trainer.fit(module, data)
print("mean", module.mean.flatten().numpy().round(3))

# %%
log = pd.read_csv(f"{trainer.logger.log_dir}/metrics.csv")
history = log.groupby("epoch")[["train_loss", "valid_loss", "valid_mean_iou"]].max()
plot.history(history.reset_index().to_dict("records"))

# %% [markdown]
# ## From the module to a map
#
# `Learner.of` puts a learner around a trained module. It predicts, scores and saves as after a fit of its
# own. Given the data, it knows the bands and the dtype of training and refuses other ones.

# %%
module = SegmentationModule.load_from_checkpoint(
    best.best_model_path, model=Dilated(5, len(classes))
)
learner = Learner.of(module, data, training=Training(size=64, batch_size=16))
north = data.valid[0]
prediction = learner.predict(north)
plot.comparison(north, prediction)

# %%
evaluation = learner.evaluate([north])
print(evaluation.table())
learner.save(str(out / "dilated.zip"))
again = Learner.load(str(out / "dilated.zip"), model=Dilated(5, len(classes)))
assert (again.predict(north).to_array() == prediction.to_array()).all()

# %% [markdown]
# ## A data set of your own
#
# Where scenes are given, any map-style torch data set with the keys `image`, `mask` and `valid` may be
# given too. `ImageFolderDataset` is one: pictures in `images/` and masks in `masks/` with the same names,
# without a place on the earth. Here the sample is cut to 40 pictures of red, green and blue.

# %%
(out / "images").mkdir()
(out / "masks").mkdir()
for i in range(40):
    window = Window(row=232 + 40 * (i // 10), col=40 + 40 * (i % 10), height=40, width=40)
    look = data.train[0].read(window)
    rgb = np.moveaxis(look.image.data[[2, 1, 0]], 0, 2)
    Image.fromarray(rgb).save(out / f"images/{i:02}.png")
    Image.fromarray(look.labels).save(out / f"masks/{i:02}.png")

pictures = ImageFolderDataset(out, classes=classes, size=32, length=160)
pictures.check()  # reads everything once; an error here names the file and the cure
print(
    len(pictures.scenes), "pictures;", {k: getattr(v, "shape", v) for k, v in pictures[0].items()}
)

# %%
plot.batch(torch.utils.data.default_collate([pictures[i] for i in range(4)]), classes)

# %%
small = SegmentationModule(
    classes, 3, model="unet", model_options={"width": 8, "depth": 3}, lr=1e-2
)
trainer = pl.Trainer(
    max_epochs=8,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    num_sanity_val_steps=0,
)
slide = ImageFolderDataset(out, classes=classes, size=40, crop="slide")
trainer.fit(small, SegmentationData(pictures, slide, batch_size=16))
print({key: round(float(value), 3) for key, value in trainer.callback_metrics.items()})

# %% [markdown]
# Its `scenes` are what everything else takes.

# %%
learner = Learner.of(small, training=Training(size=40))
i = int(np.argmax([np.unique(s.labels.read(s.grid, s.grid.whole)).size for s in pictures.scenes]))
plot.comparison(pictures.scenes[i], learner.predict(pictures.scenes[i]))

# %%
assert evaluation.to_dict()["overall"]["mean_iou"] > 0.3
assert torch.isfinite(trainer.callback_metrics["train_loss"])
