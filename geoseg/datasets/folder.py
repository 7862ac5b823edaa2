"""ImageFolderDataset: pictures and masks of two folders, for images without georeference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from geoseg.choices import one_of
from geoseg.classes import ClassMap
from geoseg.datasets.pairs import check_headers, check_pixels, paired
from geoseg.datasets.windows import Place, WindowDataset
from geoseg.errors import ConfigError
from geoseg.labels.pixels import PixelLabels
from geoseg.sampling import SlidingWindows
from geoseg.scene import Scene
from geoseg.sources.base import RasterSource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.npy import NpySource
from geoseg.sources.transformed import Transform
from geoseg.sources.transforms.recode import RGBToClass
from geoseg.spec import FrozenMap
from geoseg.window import Edge, Size, Window

Axes = Literal["chw", "hwc"]


class ImageFolderDataset(WindowDataset):
    """Images and masks that belong together by name: `images/a.jpg` and `masks/a.png`.

    Images are .npy, .png, .tif, .tiff, .jpg or .jpeg, masks the same but JPEG. An item has the keys of
    all data sets here; `scene` is the name without its suffix. Without `size` an item is a whole image;
    with one it is a window, random or one of those side by side. Where an image is smaller than a window
    the rest is not valid, and ignored in the mask. A georeference does not matter: image and mask are
    laid pixel on pixel.

    `scenes` holds the same as Scenes, for what else takes these: `Learner.fit(data.scenes)`,
    `RandomWindowGeoDataset(data.scenes, ...)` with its sampling, `Learner.predict(data.scenes[0])`.
    """

    def __init__(
        self,
        folder: str | PathLike[str] | None = None,
        *,
        classes: Sequence[str] | Mapping[str, Any] | ClassMap,
        images: str | PathLike[str] | None = None,
        masks: str | PathLike[str] | None = None,
        mask_name: str = "{stem}",
        size: Size | None = None,
        crop: Literal["random", "slide"] = "random",
        stride: Size | None = None,
        edge: Edge = "pad",
        length: int | None = None,
        seed: int = 0,
        mapping: Mapping[int, int] | None = None,
        colors: bool | Mapping[int, Any] = False,
        axes: Axes | None = None,
        bands: Sequence[int] | None = None,
        nodata: float | None = None,
        normalize: bool = True,
        labels: bool = True,
    ) -> None:
        """Pair the files and open each once; pixels are read when asked for.

        Args:
            folder: Has the folders `images` and `masks`; None: those are given.
            classes: The class map, names of classes with ids from 0, or a class map's fields as plain
                values.
            images: The folder of images.
            masks: The folder of masks.
            mask_name: How a mask is called, without its suffix: "{stem}_mask" belongs to `{stem}`.
            size: Pixels of a window, one number or (height, width); None: whole images, all of one size.
            crop: "random": windows anywhere, each image equally often, others in each epoch (`set_epoch`);
                "slide": all windows side by side, as validation wants them.
            stride: For "slide", pixels from window to window; None: `size`.
            edge: For "slide", see `geoseg.window.starts`; "pad" shows no pixel twice.
            length: For "random", windows in an epoch; None: one of each image.
            seed: For "random": another seed, other windows.
            mapping: {value in a mask: class id, or the id of ignored pixels}, complete; None: the values
                are class ids.
            colors: True: masks are pictures in the colours of the classes; or {class id: "#rrggbb"}.
            axes: Order of three axes in .npy files: "chw" or "hwc".
            bands: Numbers of the bands of an image, from 1; None: all but alpha.
            nodata: The number in an image that means "missing"; None: as the file says.
            normalize: False gives images in the native dtype, to be scaled on the device.
            labels: False leaves masks and `mask` out.

        Raises:
            ConfigError: An argument is wrong, or whole images have different sizes.
            GeosegError: Files lack their partner, do not fit each other, or cannot be opened; the text
                counts them.
        """
        images, masks = _folders(folder, images, masks, labels=labels)
        known = ClassMap.model_validate(
            classes if isinstance(classes, ClassMap | Mapping) else list(classes)
        )
        recipe = _Recipe(
            classes=known,
            mapping=None if mapping is None else FrozenMap(mapping),
            recode=_recode(colors, known, mapping),
            axes=axes,
            bands=None if bands is None else tuple(bands),
            nodata=nodata,
        )
        scenes = [recipe.scene(*files) for files in paired(images, masks, mask_name=mask_name)]
        check_headers(scenes)
        _check_options(size, crop, stride=stride, length=length)
        super().__init__(
            scenes,
            size=_common_size(scenes) if size is None else size,
            normalize=normalize,
            labels=labels,
        )
        self.classes, self.seed = known, seed
        self.crop = None if size is None else crop
        self.ignore_id = known.ignore_id
        self._windows = (
            SlidingWindows(scenes, self.size, stride, edge) if self.crop == "slide" else None
        )
        self._length = length or len(scenes)
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return self._length if self._windows is None else len(self._windows)

    def set_epoch(self, epoch: int) -> None:
        """Choose the random windows of an epoch, here and in running workers."""
        self._epoch.fill_(epoch)

    def place(self, index: int) -> Place:
        """(image number, window) of an item; IndexError past the end."""
        if self._windows is not None:
            return self._windows[index]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        number = position % len(self.scenes)
        shape = self.scenes[number].grid.shape
        if self.crop is None:
            return number, Window(0, 0, *shape)
        rng = np.random.default_rng((self.seed, int(self._epoch), position))
        free = np.maximum(np.subtract(shape, self.size), 0)
        row, col = rng.integers(0, free + 1).tolist()
        return number, Window(row, col, *self.size)

    def check(self) -> None:
        """Read every image and mask once, so that errors come before the training.

        Raises:
            GeosegError: Files are damaged, or masks hold values that are no class; the text names the
                first with its values and counts the others.
        """
        check_pixels(self.scenes)


@dataclass(frozen=True, kw_only=True)
class _Recipe:
    """How a scene is made of two files."""

    classes: ClassMap
    mapping: FrozenMap[int, int] | None
    recode: tuple[Transform, ...]
    axes: Axes | None
    bands: tuple[int, ...] | None
    nodata: float | None

    def scene(self, stem: str, image: str, mask: str | None) -> Scene:
        return Scene(
            id=stem, image=self._image(image), labels=None if mask is None else self._labels(mask)
        )

    def _image(self, uri: str) -> RasterSource:
        if uri.lower().endswith(".npy"):
            return NpySource(uri=uri, axes=self.axes, bands=self.bands, nodata=self.nodata)
        return GeoTIFFSource(uri=uri, bands=self.bands, nodata=self.nodata)

    def _labels(self, uri: str) -> PixelLabels:
        if uri.lower().endswith(".npy"):
            source: RasterSource = NpySource(uri=uri, axes=self.axes, transforms=self.recode)
        else:
            source = GeoTIFFSource(uri=uri, transforms=self.recode)
        return PixelLabels(source=source, classes=self.classes, mapping=self.mapping)


def _recode(
    colors: bool | Mapping[int, Any], classes: ClassMap, mapping: Mapping[int, int] | None
) -> tuple[Transform, ...]:
    """What makes class ids of the colours of masks."""
    if not colors:
        return ()
    if mapping is not None:
        raise ConfigError("both mapping and colors are given; pass one of the two")
    table = {c.id: c.color for c in classes.classes} if colors is True else dict(colors)
    return (RGBToClass.model_validate({"colors": table}),)


def _folders(
    folder: str | PathLike[str] | None,
    images: str | PathLike[str] | None,
    masks: str | PathLike[str] | None,
    *,
    labels: bool,
) -> tuple[str | PathLike[str], str | PathLike[str] | None]:
    """The folder of images, and that of masks where they are wanted."""
    if folder is not None:
        images = Path(folder) / "images" if images is None else images
        masks = Path(folder) / "masks" if masks is None else masks
    if images is None or (labels and masks is None):
        raise ConfigError(
            "expected a folder with images/ and masks/ in it, or images=... and masks=...; labels=False "
            "needs no masks"
        )
    return images, masks if labels else None


def _check_options(
    size: Size | None, crop: str, *, stride: Size | None, length: int | None
) -> None:
    one_of(crop, ("random", "slide"), name="crop")
    if size is None and (stride is not None or length is not None):
        raise ConfigError("stride and length are for windows; pass size=... too")
    if crop == "random" and stride is not None:
        raise ConfigError('stride is for windows side by side; pass crop="slide" too')
    if crop == "slide" and length is not None:
        raise ConfigError('length is for random windows; leave it out with crop="slide"')
    if length is not None and length < 1:
        raise ConfigError(f"length is {length}, expected at least 1 window")


def _common_size(scenes: Sequence[Scene]) -> tuple[int, int]:
    """(height, width) of all images."""
    sizes = Counter(scene.grid.shape for scene in scenes)
    if len(sizes) == 1:
        return scenes[0].grid.shape
    examples = {scene.grid.shape: scene.id for scene in reversed(scenes)}
    told = ", ".join(
        f"{h} x {w} px ({n}, e.g. {examples[h, w]})" for (h, w), n in sizes.most_common(3)
    )
    raise ConfigError(
        f"whole images of {len(sizes)} sizes make no batch: {told}; pass size=(height, width) to take "
        "windows of them"
    )
