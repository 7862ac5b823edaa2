"""Scenes into a zip of volumes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from geoseg.choices import one_of
from geoseg.errors import ConfigError, SceneError
from geoseg.labels.base import LabelSource
from geoseg.outputs import refuse_inputs
from geoseg.scene import Scene
from geoseg.spec import files_of
from geoseg.volumes.metadata import ImageAxes
from geoseg.volumes.rle import Order
from geoseg.volumes.scenes.classes import common_classes
from geoseg.volumes.scenes.gather import gathered, refuse_ignored
from geoseg.volumes.scenes.planes import Planes, planes_of
from geoseg.volumes.writing import Split, VolumeZipWriter
from geoseg.volumes.writing.contract import check_split
from geoseg.volumes.writing.words import path_text
from geoseg.warn import warn

Ignored = Literal["error", "background"]
"""What becomes of voxels whose class is not known."""

LabelAxis = Literal["error", "repeat"]
"""What becomes of one label map for several dates."""


def scenes_to_zip(
    scenes: Iterable[Scene],
    uri: str | Path,
    *,
    classes: Sequence[str] | None = None,
    split: Split | Mapping[str, Split] = "train",
    folds: Mapping[str, int | str] | None = None,
    labels: Mapping[str, Sequence[LabelSource]] | None = None,
    label_axis: LabelAxis = "error",
    ignored: Ignored = "error",
    image_axes: ImageAxes = "HWD",
    rle_order: Order = "dhw",
) -> None:
    """Write scenes as volumes of one zip, each under its id.

    A scene whose image is a TimeStackSource is a volume of its dates; any other is of depth 1. CRS,
    transform, times and names of bands go with it. The background (class 0 if it is named so, or a class
    called "background") is where no mask is, so it is no class of the zip.

    Each pixel is read once. The pixels of a scene lie in a file without a name beside `uri` for the time
    being; its class ids are held in memory, one byte a voxel, as is a mask.

    Args:
        scenes: With labels, unless they go to the test split; there, labels are left out.
        uri: A local file; one that is there is replaced.
        classes: Names in the order of the lists, all of them in every class map; voxels of others become
            background. None: all, which must be the same in all scenes.
        split: That of all scenes, or {id: its split}.
        folds: {id: its fold}; of all scenes of a split or of none.
        labels: {id: the labels of each date, oldest first}, instead of the scene's own.
        label_axis: What to do with a scene of several dates that has one label map: "error", because
            volumes are labelled slice by slice; or "repeat" it for each date.
        ignored: What to do with voxels that are ignored, because they lie outside labels or AOI, or are
            not valid in the image: the format cannot say so. "background" counts and writes them so.
        image_axes: As for VolumeZipWriter.
        rle_order: As for VolumeZipWriter.

    Raises:
        SceneError: A scene has no labels, or one label map for several dates.
        LabelError: Classes differ, or voxels are ignored.
        ConfigError: A mapping names no scene, or not all.
        StoreError: An id is no name for a file, or the zip cannot be written.

    Warns:
        UserWarning: Voxels are not valid and keep the values that are stored, or ignored ones became
            background; with counts.
    """
    one_of(ignored, Ignored, name="ignored")
    uri = path_text(uri)
    items = _items(_scenes(scenes), split, labels=labels or {}, label_axis=label_axis)
    _check_names(items, folds or {}, "folds")
    refuse_inputs([uri], [file for item in items for file in item.inputs])
    maps = [(item.scene.id, source.class_map) for item in items for source in item.labels or ()]
    names = common_classes(maps, classes)
    counts = _Counts()
    with VolumeZipWriter(uri, names, image_axes=image_axes, rle_order=rle_order) as writer:
        for item in items:
            fold = (folds or {}).get(item.scene.id)
            _write(writer, item, fold=fold, ignored=ignored, counts=counts)
    for text in counts.told():
        warn(f"{uri}: {text}")


def _scenes(given: Any) -> list[Scene]:
    """The scenes of a call; ConfigError for what are none."""
    if isinstance(given, Scene):
        raise ConfigError("scenes is a single Scene, expected a list of them; pass [scene]")
    found = list(given)
    if wrong := [type(one).__name__ for one in found if not isinstance(one, Scene)]:
        raise ConfigError(f"scenes holds a {wrong[0]}, expected a list of Scene; see Scene.of")
    return found


@dataclass(frozen=True)
class _Item:
    """A scene with what is known of it before its pixels are read."""

    scene: Scene
    planes: Planes
    split: Split
    labels: tuple[LabelSource, ...] | None
    """Of each slice; None for the test split."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """All files that are read."""
        found = tuple(uri for source in self.labels or () for uri in files_of(source))
        return (*self.scene.inputs, *found)


@dataclass
class _Counts:
    """Voxels that the zip cannot tell from others."""

    voxels: int = 0
    invalid: int = 0
    ignored: int = 0

    def told(self) -> list[str]:
        """A sentence for each kind there is."""
        of = f"of {self.voxels} voxels"
        return [
            f"{count} {of} {what}"
            for count, what in (
                (
                    self.invalid,
                    "are not valid; the zip has no mark for that and keeps their values",
                ),
                (self.ignored, "are ignored; they were written as background"),
            )
            if count
        ]


def _write(
    writer: VolumeZipWriter,
    item: _Item,
    *,
    fold: int | str | None,
    ignored: Ignored,
    counts: _Counts,
) -> None:
    scene, planes, labels = item.scene, item.planes, item.labels
    with gathered(scene, planes, labels, folder=Path(writer.uri).absolute().parent) as volume:
        if ignored == "error":
            refuse_ignored(volume, where=f"scene {scene.id!r}")
        masks = (
            volume.masks(writer.classes, labels[0].class_map, writer.rle_order) if labels else None
        )
        writer.write(
            scene.id,
            volume.image,
            masks,
            item.split,
            fold=fold,
            crs=planes.grid.crs,
            transform=planes.transform,
            times=planes.times,
            channel_names=planes.told_channels,
        )
        counts.voxels += volume.image[0].size
        counts.invalid += volume.invalid
        counts.ignored += volume.ignored


def _items(
    scenes: Sequence[Scene],
    split: Split | Mapping[str, Split],
    *,
    labels: Mapping[str, Sequence[LabelSource]],
    label_axis: LabelAxis,
) -> list[_Item]:
    one_of(label_axis, LabelAxis, name="label_axis")
    if missing := [s.id for s in scenes if not isinstance(split, str) and s.id not in split]:
        raise ConfigError(
            f"split names no split for the scenes {', '.join(missing)}; name them all"
        )
    for value in (split,) if isinstance(split, str) else split.values():
        check_split(value)
    items = []
    for scene in scenes:
        planes = planes_of(scene)
        where = split if isinstance(split, str) else split[scene.id]
        given = labels.get(scene.id)
        found = None if where == "test" else _labels(scene, planes, given, label_axis=label_axis)
        items.append(_Item(scene, planes, where, found))
    _check_names(items, labels, "labels")
    if not isinstance(split, str):
        _check_names(items, split, "split")
    return items


def _labels(
    scene: Scene, planes: Planes, given: Sequence[LabelSource] | None, *, label_axis: LabelAxis
) -> tuple[LabelSource, ...]:
    """The labels of each slice."""
    depth = planes.shape[0]
    if given is not None:
        if len(given) != depth:
            raise SceneError(
                f"scene {scene.id!r}: {len(given)} labels are given for {depth} dates, expected one each"
            )
        if any(source.class_map != given[0].class_map for source in given):
            raise SceneError(
                f"scene {scene.id!r}: the labels of its dates have different class maps; give all the same"
            )
        return tuple(given)
    if scene.labels is None:
        raise SceneError(
            f'scene {scene.id!r} has no labels; give it some, or write it to the split "test"'
        )
    if depth > 1 and label_axis == "error":
        raise SceneError(
            f"scene {scene.id!r} has one label map for {depth} dates, but volumes are labelled slice by "
            "slice; pass labels={id: [labels of each date]}, or label_axis='repeat' where the map holds "
            "for every date; for one answer from all dates, train in 2D on the stack's bands"
        )
    return (scene.labels,) * depth


def _check_names(items: Sequence[_Item], named: Mapping[str, object], what: str) -> None:
    """ConfigError where a mapping names what is no scene."""
    known = [item.scene.id for item in items]
    if unknown := [name for name in named if name not in known]:
        raise ConfigError(
            f"{what} names {', '.join(unknown)}, but the scenes are {', '.join(known) or 'none'}"
        )
