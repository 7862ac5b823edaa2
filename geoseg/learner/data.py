"""SegmentationData: training and validation windows for a Lightning Trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.utilities import CombinedLoader
from torch.utils.data import DataLoader, Dataset, Sampler

from geoseg.classes import ClassMap
from geoseg.datasets import (
    EpochLoader,
    EpochSampler,
    LocalSampler,
    RandomWindowGeoDataset,
    SlidingWindowGeoDataset,
    collate,
)
from geoseg.datasets.epochs import tell_epoch
from geoseg.datasets.own import reliable
from geoseg.datasets.windows import listed
from geoseg.errors import ConfigError
from geoseg.learner.alike import check_alike, check_classes
from geoseg.learner.facts import DataFacts, check_labels, facts_of, scaled_statistics
from geoseg.learner.fitting.sharing import EachOnce, check_enough, sharing
from geoseg.learner.measured import facts_of_dataset, scenes_of
from geoseg.learner.samples import Given, Samples, plain, samples_of, some, with_classes
from geoseg.learner.standardized import common_standardize, with_standardize
from geoseg.sampling import Sampling
from geoseg.scene import Scene
from geoseg.sources.transforms.scaling import Standardize
from geoseg.window import Size


class SegmentationData(pl.LightningDataModule):
    """Random windows for training, every pixel once for validation.

    Images come in their native dtype: the module scales and normalises them on its device.
    """

    def __init__(
        self,
        train: Given,
        valid: Given | None = None,
        *,
        size: Size = 256,
        length: int = 256,
        batch_size: int = 8,
        seed: int = 0,
        workers: int = 0,
        order: Literal["auto", "block", "uniform"] = "auto",
        sampling: Mapping[str, Any] | Sampling | None = None,
    ) -> None:
        """Name the data; nothing is read yet.

        Args:
            train: Scenes from which windows are drawn, or a data set. A scene may be a mapping of its
                fields, or the path of a YAML file; labels that name no classes get the module's.
            valid: The same to be looked at window by window; None or an empty list: no validation.
            size: Pixels of a window, one number or (height, width).
            length: Windows in an epoch.
            batch_size: Windows in a step.
            seed: The windows follow from it, the epoch and their number.
            workers: Processes that read; 0 reads in this one.
            order: In which order training windows are read, see RandomWindowGeoDataset.
            sampling: Which windows are drawn, as a Sampling or a mapping of its fields; None: any. Not
                for a data set, which has its own.

        Raises:
            ConfigError: There are rules for a data set, or there is no list of scenes.
            pydantic.ValidationError: A field of `sampling` or of a scene is wrong.
        """
        super().__init__()
        self.train = samples_of(train)
        beside = some(valid)
        self.valid = None if beside is None else samples_of(beside)
        self.size, self.length, self.batch_size = size, length, batch_size
        self.seed, self.workers, self.order = seed, workers, order
        rules = sampling if isinstance(sampling, Sampling) else plain(sampling or {})
        self.sampling = Sampling.model_validate(rules)
        if self.sampling != Sampling() and isinstance(train, Dataset):
            raise ConfigError(
                "sampling is for training scenes, but `train` is a data set, which draws its own windows; "
                "give it the rules, or give its scenes"
            )

    def setup(self, stage: str) -> None:
        """Begin with epoch 0; and see that a validation by itself has something to look at.

        Raises:
            ConfigError: It has not.
        """
        if stage == "fit":
            tell_epoch(
                self.train, 0
            )  # an earlier training may have told another, and it is measured
        if stage == "validate" and self.valid is None:
            raise ConfigError(
                "there is nothing to validate on; give SegmentationData some `valid` scenes or a data set"
            )

    def check(self, classes: ClassMap) -> None:
        """See that scenes have labels of these classes, and that validation is on what training is on.

        Labels that name no classes get these. Data sets are compared in what they tell, see
        `geoseg.learner.alike`.

        Raises:
            GeosegError: Classes, bands, dtype, units or a Standardize differ, or a scene has no labels.
        """
        self.train = with_classes(self.train, classes)
        self.valid = None if self.valid is None else with_classes(self.valid, classes)
        for what, samples in (("training", self.train), ("validation", self.valid)):
            if isinstance(samples, Dataset):
                check_classes(samples, classes, what=what)
            elif samples is not None:
                check_labels(samples, classes)
        if self.valid is not None:
            check_alike(self.train, self._alike(self.valid))

    def check_ranks(self, ranks: int) -> None:
        """See that each of several processes has something to do; else the others wait for it for ever.

        Raises:
            ConfigError: There are fewer windows for training or validation than processes.
        """
        train = self.train
        windows = len(train) if isinstance(train, Dataset) else self.length  # type: ignore[arg-type]
        check_enough("training", windows, ranks=ranks)
        beside = self._validation()
        if beside is not None:
            check_enough("validation", len(beside), ranks=ranks)  # type: ignore[arg-type]

    def facts(self) -> DataFacts:
        """Bands, dtype and statistics of the training scenes; of a data set those of its items."""
        train = self.train
        return facts_of_dataset(train) if isinstance(train, Dataset) else facts_of(train)

    def statistics(self) -> tuple[list[float], list[float]]:
        """(mean, deviation) of each channel of the training images, scaled to [0, 1]."""
        return scaled_statistics(self.facts())

    @property
    def standardize(self) -> Standardize | None:
        """What the images of all training scenes end with; None for none, and where a data set has no scenes.

        Raises:
            ConfigError: Some of the scenes end with one and others not, or with another one.
        """
        train = self.train
        scenes = scenes_of(train) if isinstance(train, Dataset) else listed(train)
        return None if scenes is None else common_standardize(scenes)

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Batches of random windows, others in each epoch.

        Raises:
            ConfigError: Several processes are to share fewer windows.
        """
        windows = self.train
        if not isinstance(windows, Dataset):
            windows = self._random(windows)
        check_enough("training", len(windows), ranks=sharing())  # type: ignore[arg-type]
        sampler: LocalSampler | EpochSampler
        if isinstance(windows, RandomWindowGeoDataset):
            sampler = LocalSampler(windows, self.batch_size, workers=self.workers)
        else:
            windows = reliable(windows, seed=self.seed)
            sampler = EpochSampler(windows, seed=self.seed)
        if self.trainer is not None:
            # A resumed training asks before it knows its epoch: Lightning tells it before the first batch.
            sampler.set_epoch(self.trainer.current_epoch)
        return loader_of(windows, self.batch_size, workers=self.workers, sampler=sampler)

    def _random(self, scenes: Sequence[Scene]) -> RandomWindowGeoDataset:
        """Random windows of the training scenes."""
        rules = self.sampling
        return RandomWindowGeoDataset(
            scenes,
            self.size,
            self.length,
            seed=self.seed,
            size_range=rules.size_range,
            normalize=False,
            order=self.order,
            class_balance=rules.class_balance,
            negative_share=rules.negative_share,
            background=rules.background,
            min_valid=rules.min_valid,
            min_labelled=rules.min_labelled,
            scene_weights=rules.scene_weights,
            cache=rules.cache,
        )

    def val_dataloader(self) -> NoLoaders | DataLoader[dict[str, Any]]:
        """Batches of windows side by side; no pixel is counted twice.

        Scenes without the Standardize of the training scenes get it.

        Raises:
            ConfigError: Several processes are to share fewer windows.
        """
        windows = self._validation()
        if windows is None:
            return NoLoaders()
        ranks = sharing()
        check_enough("validation", len(windows), ranks=ranks)  # type: ignore[arg-type]
        once = EachOnce(windows) if ranks > 1 else None
        return loader_of(windows, self.batch_size, workers=self.workers, sampler=once)

    def _validation(self) -> Dataset[dict[str, Any]] | None:
        """Windows side by side of the validation scenes, or their data set; None where there is none."""
        if self.valid is None:
            return None
        samples = self._alike(self.valid)
        if isinstance(samples, Dataset):
            return reliable(samples, seed=self.seed)
        return SlidingWindowGeoDataset(samples, self.size, edge="pad", normalize=False)

    def _alike(self, samples: Samples) -> Samples:
        """Scenes as they are read beside the training scenes."""
        if isinstance(samples, Dataset):
            return samples
        if isinstance(self.train, Dataset) and scenes_of(self.train) is None:
            return samples  # what was done to the items is not known
        expected = self.standardize
        return [with_standardize(scene, expected) for scene in listed(samples)]


def loader_of(
    windows: Dataset[dict[str, Any]],
    batch_size: int,
    *,
    workers: int,
    sampler: Sampler[Any] | None,
) -> DataLoader[dict[str, Any]]:
    """Batches of windows.

    Args:
        windows: The data set.
        batch_size: Windows in a step.
        workers: Processes that read, kept from epoch to epoch.
        sampler: Which windows, and in which order; None: all as they come.
    """
    return EpochLoader(
        windows,
        batch_size,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate,
    )


class NoLoaders(CombinedLoader):
    """No validation; an empty list is to Lightning one loader without batches, of which it warns."""

    def __init__(self) -> None:
        """There is nothing to name."""
        super().__init__([], "sequential")

    @property
    def flattened(self) -> list[Any]:
        """The loaders, of which there is none."""
        return []

    @flattened.setter
    def flattened(self, loaders: list[Any]) -> None:
        """Lightning gives them back as it has taken them."""
