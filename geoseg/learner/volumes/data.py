"""VolumeData: training and validation windows of volumes for a Lightning Trainer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from geoseg.classes import ClassMap
from geoseg.datasets import EpochSampler
from geoseg.datasets.volume import VolumeDataset
from geoseg.errors import ConfigError
from geoseg.learner.data import NoLoaders, loader_of
from geoseg.learner.facts import DataFacts, scaled_statistics
from geoseg.learner.fitting.sharing import EachOnce, check_enough, sharing
from geoseg.learner.samples import some
from geoseg.learner.volumes.facts import check_names, common_names, facts_of_volumes
from geoseg.volumes.volume import Volume

Voxels = int | tuple[int, int, int]


class VolumeData(pl.LightningDataModule):
    """Random windows of volumes for training, every voxel once for validation.

    Volumes come in their native dtype: the module scales and normalises them on its device.
    """

    def __init__(
        self,
        train: Sequence[Volume],
        valid: Sequence[Volume] | None = None,
        *,
        size: Voxels = (32, 64, 64),
        length: int = 256,
        batch_size: int = 8,
        seed: int = 0,
        workers: int = 0,
        overlap: Literal["error", "priority", "multilabel"] = "error",
        class_balance: Any = None,
        volume_weights: Literal["size", "equal"] = "size",
        ignore_id: int = 255,
    ) -> None:
        """Name the data; pixels are not read yet.

        Args:
            train: Rows of a `VolumeZip`, or `ArrayVolume`s, with masks.
            valid: The same to be looked at window by window; None or an empty list: no validation.
            size: Voxels of a window, one number or (depth, height, width).
            length: Windows in an epoch.
            batch_size: Windows in a step.
            seed: The windows follow from it, the epoch and their number.
            workers: Processes that read; 0 reads in this one.
            overlap: What becomes of voxels in the masks of several classes, see VolumeDataset.
            class_balance: Which windows are drawn, see VolumeDataset.
            volume_weights: How volumes are chosen, see VolumeDataset.
            ignore_id: The id of voxels that are not valid.
        """
        super().__init__()
        self.train, self.valid = train, some(valid)
        self.size, self.length, self.batch_size = size, length, batch_size
        self.seed, self.workers, self.overlap = seed, workers, overlap
        self.class_balance, self.volume_weights = class_balance, volume_weights
        self.ignore_id = ignore_id

    @cached_property
    def training(self) -> VolumeDataset:
        """Random windows.

        Raises:
            GeosegError: The volumes are not such as VolumeDataset takes, or name their channels differently.

        Warns:
            UserWarning: Some name their channels, and others do not.
        """
        found = VolumeDataset(
            self.train,
            self.size,
            sampling="random",
            length=self.length,
            seed=self.seed,
            overlap=self.overlap,
            class_balance=self.class_balance,
            volume_weights=self.volume_weights,
            normalize=False,
            ignore_id=self.ignore_id,
        )
        check_names(self.train, common_names(self.train))
        return found

    @cached_property
    def validation(self) -> VolumeDataset | None:
        """Windows side by side; None where there is nothing to validate on.

        Raises:
            GeosegError: The volumes are not such as VolumeDataset takes, or not like those for training: of
                other classes, channels or dtype.

        Warns:
            UserWarning: Their channels and those for training cannot be compared by name.
        """
        if self.valid is None:
            return None
        found = VolumeDataset(
            self.valid,
            self.size,
            edge="pad",
            overlap=self.overlap,
            normalize=False,
            ignore_id=self.ignore_id,
        )
        first = self.training
        if (found.channels, found.dtype) != (first.channels, first.dtype):
            raise ConfigError(
                f"the volumes for validation have {found.channels} channels of {found.dtype}, those for "
                f"training {first.channels} of {first.dtype}; give both alike"
            )
        known, other = self.classes, cast(ClassMap, found.classes)
        if other.names != known.names:
            raise ConfigError(
                f"the volumes for validation have the classes {list(other.names)}, those for training "
                f"{list(known.names)}; give both the same in the same order"
            )
        names, others = common_names(self.train), common_names(self.valid)
        if None not in (names, others) and names != others:
            raise ConfigError(
                f"the volumes for validation have the channels {others}, those for training {names}; give "
                "both the same in the same order"
            )
        check_names(self.valid, names)
        return found

    @property
    def classes(self) -> ClassMap:
        """Of the volumes, in the order of the ids: background first, unless classes may overlap."""
        return cast(ClassMap, self.training.classes)  # there are none without labels only

    def check(self, classes: ClassMap, channels: int) -> None:
        """See that the volumes have these classes and so many channels, those for validation too.

        Raises:
            ConfigError: They have not.
        """
        known = self.classes
        if (known.names, known.ids) != (classes.names, classes.ids):
            raise ConfigError(
                f"the volumes have the classes {list(known.names)} with ids {list(known.ids)}, but the model "
                f"has {list(classes.names)} with ids {list(classes.ids)}; use one list of classes"
            )
        if self.training.channels != channels:
            raise ConfigError(
                f"the volumes have {self.training.channels} channels, but the model takes {channels}"
            )
        _ = self.validation  # raises where it is not like the training

    def check_ranks(self, ranks: int) -> None:
        """See that each of several processes has something to do; else the others wait for it for ever.

        Raises:
            ConfigError: There are fewer windows for training or validation than processes.
        """
        check_enough("training", len(self.training), ranks=ranks)
        if self.validation is not None:
            check_enough("validation", len(self.validation), ranks=ranks)

    def counts(self) -> NDArray[np.int64]:
        """(volume, class) voxels of the volumes for training."""
        found = self.training.counts
        return np.zeros((0, 0), np.int64) if found is None else found

    def facts(self) -> DataFacts:
        """Channels, dtype and statistics of the volumes for training."""
        return facts_of_volumes(self.train)

    def statistics(self) -> tuple[list[float], list[float]]:
        """(mean, deviation) of each channel of the volumes for training, scaled to [0, 1]."""
        return scaled_statistics(self.facts())

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Batches of random windows, others in each epoch."""
        check_enough("training", len(self.training), ranks=sharing())
        sampler = EpochSampler(self.training, seed=self.seed)
        if self.trainer is not None:
            # A resumed training asks before it knows its epoch: Lightning tells it before the first batch.
            sampler.set_epoch(self.trainer.current_epoch)
        return loader_of(self.training, self.batch_size, workers=self.workers, sampler=sampler)

    def val_dataloader(self) -> NoLoaders | DataLoader[dict[str, Any]]:
        """Batches of windows side by side; no voxel is counted twice."""
        windows = self.validation
        if windows is None:
            return NoLoaders()
        ranks = sharing()
        check_enough("validation", len(windows), ranks=ranks)
        once = EachOnce(windows) if ranks > 1 else None
        return loader_of(windows, self.batch_size, workers=self.workers, sampler=once)
