"""A folder of images and masks into a zip of volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from geoseg.errors import ConfigError, LabelError, SourceError
from geoseg.outputs import refuse_inputs
from geoseg.volumes.exporting.copying import stem_of
from geoseg.volumes.folders.localfile import read_image
from geoseg.volumes.metadata import ImageAxes
from geoseg.volumes.rle import Order
from geoseg.volumes.writing import Split, VolumeZipWriter
from geoseg.volumes.zip.images import SUFFIXES

IMAGES, MASKS = "images", "masks"
"""Folders in the folder."""


def folder_to_zip(
    folder: str | Path,
    uri: str,
    *,
    classes: Sequence[str] | None = None,
    split: Split = "train",
    axes: ImageAxes = "HWD",
    image_axes: ImageAxes = "HWD",
    rle_order: Order = "dhw",
    seen: Callable[[str], None] | None = None,
) -> None:
    """Write images and masks of one name as volumes of a zip.

    Images lie in `images/`, as .npy, .npz, .tif or .nii. Masks lie in `masks/NAME`, where 0 is background and
    1 the first of the classes, or in `masks/CLASS/NAME`, 0 and one other value each; a class without
    a file for an image is nowhere in it. The ends of names may differ.

    Args:
        folder: With both folders.
        uri: A local file; one that is there is replaced.
        classes: Names, in order; None: the folders in `masks/`, sorted.
        split: Which table lists them; for "test" masks are not looked for.
        axes: Those of arrays in the files, as of a VolumeZip.
        image_axes: Those of arrays in the zip; see VolumeZipWriter.
        rle_order: As for VolumeZipWriter.
        seen: Called with the name of each volume that was written.

    Raises:
        SourceError: A folder or a mask is missing, two images have one name, or a file cannot be read.
        LabelError: A mask does not fit its image or the classes.
        ConfigError: Nothing tells the classes.
    """
    root = Path(folder)
    images = _files(root / IMAGES)
    if not images:
        raise SourceError(
            f"{root / IMAGES}: holds no image, expected files whose names end in {', '.join(SUFFIXES)}"
        )
    masks = _Masks(root / MASKS, classes, axes) if split != "test" else None
    names = tuple(classes or ()) if masks is None else masks.classes
    refuse_inputs([uri], map(str, images.values()))
    with VolumeZipWriter(
        uri, names or ("unknown",), image_axes=image_axes, rle_order=rle_order
    ) as writer:
        for name, path in images.items():
            image = read_image(path, axes)
            found = None if masks is None else masks.of(name, image.shape[1:], path)
            writer.write(name, image, found, split)
            if seen is not None:
                seen(name)


class _Masks:
    """The masks of a folder, by the name of the image."""

    def __init__(self, folder: Path, classes: Sequence[str] | None, axes: ImageAxes) -> None:
        if not folder.is_dir():
            raise SourceError(f"{folder}: there is no such folder; put the masks there")
        inner = sorted(path.name for path in folder.iterdir() if path.is_dir())
        self._folder, self._axes = folder, axes
        self._shared = None if inner else _files(folder)
        self._by_class = {name: _files(folder / name) for name in inner}
        self.classes = tuple(inner if classes is None else classes)
        if not self.classes:
            raise ConfigError(
                f"{folder}: nothing tells what the numbers of its masks mean; name the classes of 1, 2, ... "
                "in their order"
            )
        if inner and (unknown := sorted(set(inner) - set(self.classes))):
            raise ConfigError(
                f"{folder}: has folders that are no class: {', '.join(unknown)}; the classes are "
                f"{', '.join(self.classes)}"
            )

    def of(self, name: str, shape: tuple[int, ...], image: Path) -> dict[str, NDArray[Any]]:
        """{class: bool (depth, height, width)} of an image."""
        if self._shared is None:
            named = {c: files[name] for c, files in self._by_class.items() if name in files}
            return {c: self._read(path, shape) for c, path in named.items()}
        if name not in self._shared:
            raise SourceError(
                f"{image}: has no mask of its name in {self._folder}; add one, all 0 where no class occurs"
            )
        path = self._shared[name]
        ids = self._read(path, shape)
        if ids.dtype.kind not in "bui" or ids.min() < 0 or ids.max() > len(self.classes):
            raise LabelError(
                f"{path}: holds {ids.dtype} from {ids.min()} to {ids.max()}, expected whole numbers from 0 "
                f"(background) to {len(self.classes)}, the last of the classes {', '.join(self.classes)}"
            )
        return {c: ids == number for number, c in enumerate(self.classes, start=1)}

    def _read(self, path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
        mask = read_image(path, self._axes)
        if len(mask) != 1 or mask.shape[1:] != shape:
            raise LabelError(
                f"{path}: holds (channels, depth, height, width) {mask.shape}, expected one channel of {shape} "
                "as its image has"
            )
        found: NDArray[Any] = mask[0]
        return found


def _files(folder: Path) -> dict[str, Path]:
    """Image files of a folder by their name without its end, sorted.

    Raises:
        SourceError: There is no such folder, or two files have one name.
    """
    if not folder.is_dir():
        raise SourceError(
            f"{folder}: there is no such folder; a folder of volumes has {IMAGES}/ and {MASKS}/"
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.lower().endswith(SUFFIXES):
            stem = stem_of(path.name)
            if stem in found:
                raise SourceError(
                    f"{path}: is called as {found[stem].name} but for its end; give each volume one file"
                )
            found[stem] = path
    return found
