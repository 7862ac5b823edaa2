"""The ways of `geoseg volumes convert`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from geoseg.cli.scenefile import scenes_of
from geoseg.cli.volumes.opening import Axes, FrameName, RunOrder
from geoseg.cli.volumes.progress import counted
from geoseg.errors import ConfigError

if TYPE_CHECKING:
    from geoseg.scene import Scene
    from geoseg.volumes import VolumeZip, VolumeZipWriter
    from geoseg.volumes.exporting.copying import VolumeStore

FrameValue = Literal["train", "validation", "test"]


class As(StrEnum):
    """What masks become in a folder."""

    npy = "npy"
    tiff = "tiff"
    geotiff = "geotiff"


class LayersOption(StrEnum):
    """How masks are put into files."""

    ids = "ids"
    masks = "masks"


class Ignored(StrEnum):
    """What becomes of pixels whose class is not known."""

    error = "error"
    background = "background"


class LabelAxis(StrEnum):
    """What becomes of one label map for several dates."""

    error = "error"
    repeat = "repeat"


@dataclass(frozen=True)
class Target:
    """What is written."""

    uri: str
    classes: tuple[str, ...] | None
    """None: all."""
    image_axes: Axes
    rle_order: RunOrder

    def writer(self, classes: tuple[str, ...]) -> VolumeZipWriter:
        """A zip of these classes."""
        from geoseg.volumes import VolumeZipWriter

        return VolumeZipWriter(
            self.uri,
            classes,
            image_axes=self.image_axes.value,
            rle_order=self.rle_order.value,
        )


def zip_into(target: Target, found: VolumeZip) -> None:
    """A zip of other axes, order or classes."""
    with target.writer(target.classes or found.classes) as writer:
        _copy(found, writer)


def files_of(target: Target, found: VolumeZip, kind: As, layers: LayersOption | None) -> None:
    """A folder of masks; of a zip with tests, those are left out, having none."""
    from geoseg.volumes.exporting import VolumeFolderWriter

    with VolumeFolderWriter(
        target.uri,
        target.classes or found.classes,
        kind=kind.value,
        layers=(layers or LayersOption.ids).value,
    ) as writer:
        _copy(found, writer, labelled=True)


def _copy(found: VolumeZip, store: VolumeStore, *, labelled: bool = False) -> None:
    from geoseg.volumes.exporting.copying import copy_volumes

    splits = [split for split in found.files if not (labelled and split == "test")]
    total = sum(len(found.frame(split)) for split in splits)
    for _ in counted(copy_volumes(found, store, splits=splits), total=total, told=found.uri):
        pass


def folder_into(
    target: Target, folder: str, split: FrameName | None, image_axes: Axes | None
) -> None:
    """A zip of the images and masks of a folder."""
    from geoseg.volumes.folders import folder_to_zip

    folder_to_zip(
        folder,
        target.uri,
        classes=target.classes,
        split=(split or FrameName.train).value,
        axes=(image_axes or Axes.hwd).value,
        image_axes=target.image_axes.value,
        rle_order=target.rle_order.value,
    )


def scenes_into(
    target: Target,
    path: str,
    split: FrameName | None,
    ignored: Ignored | None,
    label_axis: LabelAxis | None,
) -> None:
    """A zip of the scenes of a YAML file: those of an experiment by their parts, or one."""
    from geoseg.volumes import scenes_to_zip

    scenes, splits = _scenes(path, split)
    scenes_to_zip(
        scenes,
        target.uri,
        classes=target.classes,
        split=splits,
        ignored=(ignored or Ignored.error).value,
        label_axis=(label_axis or LabelAxis.error).value,
        image_axes=target.image_axes.value,
        rle_order=target.rle_order.value,
    )


def _scenes(path: str, split: FrameName | None) -> tuple[list[Scene], dict[str, FrameValue]]:
    """Scenes, and the table of each."""
    found = scenes_of(path)
    if not isinstance(found, Mapping):
        return [*found], {scene.id: (split or FrameName.train).value for scene in found}
    if split is not None:
        raise ConfigError(
            f"--split {split.value}: {path} is an experiment, which tells the part of each scene; leave it out"
        )
    parts: dict[str, FrameValue] = {"train": "train", "valid": "validation", "test": "test"}
    pairs = [(scene, parts[part]) for part, scenes in found.items() for scene in scenes]
    return [scene for scene, _ in pairs], {scene.id: name for scene, name in pairs}
