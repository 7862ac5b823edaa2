"""Images and masks of folders, brought together by their names and seen to fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from geoseg.errors import ConfigError, GeosegError, SceneError
from geoseg.labels.pixels import PixelLabels
from geoseg.scene import Scene
from geoseg.shortlist import some

IMAGE_SUFFIXES = (".npy", ".png", ".tif", ".tiff", ".jpg", ".jpeg")
"""Files that are images, in any case."""
MASK_SUFFIXES = (".npy", ".png", ".tif", ".tiff")
"""Files that are masks; JPEG would blur class ids."""
_SHOWN = 5
"""Names that an error lists."""


def paired(
    images: str | PathLike[str], masks: str | PathLike[str] | None, *, mask_name: str
) -> list[tuple[str, str, str | None]]:
    """(stem, image, mask) of each image of a folder, by name; other files are left alone.

    Args:
        images: The folder of images.
        masks: The folder of masks; None: there are none.
        mask_name: The stem of a mask, where `{stem}` is that of its image.

    Raises:
        ConfigError: A folder is missing, or `mask_name` says nothing of the image.
        SceneError: There is no image, an image lacks its mask, a mask its image, or two have one name.
    """
    if "{stem}" not in mask_name:
        raise ConfigError(
            f"mask_name is {mask_name!r}, expected text with {{stem}}, e.g. '{{stem}}_mask'"
        )
    found = _by_stem(Path(images), IMAGE_SUFFIXES, "images")
    if masks is None:
        return [(stem, str(image), None) for stem, image in found.items()]
    known = _by_stem(Path(masks), MASK_SUFFIXES, "masks")
    wanted = {stem: mask_name.replace("{stem}", stem) for stem in found}
    lacking = [image.name for stem, image in found.items() if wanted[stem] not in known]
    if lacking:
        raise SceneError(
            f"{masks}: {count(lacking, 'image')} of {images} without a mask: expected "
            f"{wanted[Path(lacking[0]).stem]!r} with one of {', '.join(MASK_SUFFIXES)}; add the masks, or take "
            "the images out"
        )
    of_images = set(wanted.values())
    lonely = [mask.name for stem, mask in known.items() if stem not in of_images]
    if lonely:
        raise SceneError(
            f"{masks}: {count(lonely, 'mask')} without an image in {images}; add the images, or take "
            "the masks out"
        )
    return [(stem, str(image), str(known[wanted[stem]])) for stem, image in found.items()]


def _by_stem(folder: Path, suffixes: tuple[str, ...], what: str) -> dict[str, Path]:
    """{name without its suffix: file} in the order of names."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: is no folder, expected that of the {what}")
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    files = [path for path in visible if path.suffix.lower() in suffixes]
    if not files:
        others = (
            f"; it holds {count([path.name for path in visible], 'other file')}" if visible else ""
        )
        raise SceneError(f"{folder}: holds no {what}, expected {', '.join(suffixes)}{others}")
    stems = Counter(path.stem for path in files)
    twice = [path.name for path in files if stems[path.stem] > 1]
    if twice:
        raise SceneError(
            f"{folder}: {count(twice, 'file')} with a name that another has too, but for its suffix; "
            "keep one of each"
        )
    return {path.stem: path for path in files}


def check_headers(scenes: Sequence[Scene]) -> None:
    """Open every image and mask and see that sizes, bands and dtypes fit; pixels are not read.

    Raises:
        GeosegError: Of the kind of the first file that cannot be used; the text counts all of them.
        SceneError: A mask has another size than its image, or images have other bands or dtypes.
    """
    _raise_all(scenes, _open)
    odd = [
        f"{s.id} ({_size(s.labels.source.grid.shape)}, its image {_size(s.grid.shape)})"
        for s in scenes
        if isinstance(s.labels, PixelLabels) and s.labels.source.grid.shape != s.grid.shape
    ]
    if odd:
        raise SceneError(f"{count(odd, 'mask')} of another size than the image; mend them")
    kinds = [f"{len(s.image.band_names)} bands of {s.image.dtype}" for s in scenes]
    usual = Counter(kinds).most_common(1)[0][0]
    other = [f"{s.id} ({kind})" for s, kind in zip(scenes, kinds, strict=True) if kind != usual]
    if other:
        raise SceneError(
            f"{count(other, 'image')} with other bands or dtype than the most, which have {usual}; choose "
            "the same with bands=..., or convert them"
        )


def check_pixels(scenes: Sequence[Scene]) -> None:
    """Read every image and mask whole, one at a time.

    Raises:
        GeosegError: Of the kind of the first file that is damaged or holds values that are no class; the
            text counts all of them.
    """
    _raise_all(scenes, lambda scene: scene.read(scene.grid.whole))


def _raise_all(scenes: Sequence[Scene], work: Callable[[Scene], Any]) -> None:
    """Do the work for all scenes; raise the first error with the names of all others, if there is any."""
    failed = []
    for scene in scenes:
        try:
            work(scene)
        except GeosegError as error:
            failed.append((scene.id, error))
    if not failed:
        return
    first = failed[0][1]
    others = [name for name, _ in failed[1:]]
    more = f"; {count(others, 'other')} cannot be used either" if others else ""
    raise type(first)(f"{first}{more}") from first


def count(names: Sequence[str], what: str) -> str:
    """`2 masks (a.png, b.png)`, with five names at most."""
    return f"{len(names)} {what}{'s' if len(names) != 1 else ''} ({some(names, _SHOWN)})"


def _open(scene: Scene) -> None:
    _ = scene.grid, scene.image.band_names, scene.image.dtype
    if isinstance(scene.labels, PixelLabels):
        _ = scene.labels.source.grid
        scene.labels.check_bands()


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]} px"
