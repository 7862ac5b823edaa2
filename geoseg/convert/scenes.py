"""convert_scenes: windows of scenes as patches of a store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from geoseg.convert.conversion import Conversion, Progress
from geoseg.convert.given import AnyPath, path_of
from geoseg.convert.layout import MASK
from geoseg.convert.scening.missing import Missing, missing_in
from geoseg.convert.scening.patches import (
    VALID,
    Cut,
    CutPatch,
    all_inside,
    kept_in_row,
    patches_of,
    windows_of,
)
from geoseg.errors import ConfigError
from geoseg.scene import Scene
from geoseg.sources.handles import block_cache
from geoseg.sources.store.environments import DATA_FILE
from geoseg.sources.store.writer import StoreWriter
from geoseg.window import Edge, Size

KIND = "scenes"
"""What the manifest calls such a store, and the group of its patches."""
_CACHE_BYTES = 32 << 20
"""GDAL's decoded blocks, unless the rows are very wide."""
_BLOCK_ROWS = 512
_FORMAT = 1
"""Of what the manifest tells of the store as a whole."""


def convert_scenes(
    scenes: Sequence[Scene] | Mapping[str, Sequence[Scene]],
    target: AnyPath,
    *,
    size: Size | None = None,
    stride: Size | None = None,
    edge: Edge = "flush",
    nodata: float | None = None,
    compression: Literal["zstd"] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Conversion:
    """Write scenes into a store: each window becomes a patch, or each scene.

    A patch holds the bands of the image by their names, on the scene's grid; of a scene with labels also
    `mask`, uint8 class ids, `ignore_id` where nothing is known. Its key is SCENE_ROW_COL (the first pixel
    of the window), of a whole scene its id. The manifest has the grids, nodata, the scene as `source`, and
    the classes among what it tells of the store. Windows outside a scene's AOI are left out.

    A pixel that is not valid stays so, and keeps the bands that are measured there, where that is known: of
    one plain file whose bands have nodata (or NaN), and of sources whose bands lack pixels one by one. Where
    a mask or an alpha band hides it, or the image is warped or transformed, no band is kept. What is missing
    is written as such: among floats it is NaN, among integers the number that the files declare as nodata, if
    the scenes are plain files on their own grid that declare one and the same; else (masks, alpha, warped or transformed images, past the edge of a raster that declares nothing) all
    patches have an array `valid` (uint8, 1 where valid), and 0 in the bands that are missing. Plain files
    that declare nothing as missing need neither. The manifest tells which.

    Windows are read row by row: memory holds one row of windows, or one whole scene without `size`. The
    store appears whole or not at all; the same scenes give the same bytes.

    Args:
        scenes: With ids, bands and dtypes that fit each other; or {part of the data set: its scenes}, which
            the manifest then has as `split`.
        target: The folder to make; it must not exist yet, or be empty.
        size: Of the windows in pixels, one number or (height, width); None: each scene is one patch.
        stride: From window to window, the same way; None: `size`.
        edge: What happens at the last row and column, see `geoseg.window.starts`.
        nodata: The number to write where pixels are not valid; None: as said above.
        compression: How values are stored; None: as safetensors, which other readers know.
        progress: Called after each patch.

    Raises:
        ConfigError: There is no scene or no window, two scenes have one id, the scenes differ in bands or
            dtype, a band has the name of another array, or the target is no path.
        SourceError: Pixels cannot be read, or a valid one has the value `nodata`.
        LabelError: Scenes have labels of different classes, or ids outside them.
        StoreError: The folder is there already with something in it, or cannot be written.
    """
    began = time.monotonic()
    target = path_of(target, "target")
    splits = _by_split(scenes)
    every = [scene for _, scene in splits]
    _check(every, size=size, stride=stride)
    cut = Cut(size, stride, edge)
    total, left_out = _count(every, cut)
    inside = all(all_inside(scene, windows_of(scene, cut)) for scene in every)
    missing = missing_in(every, nodata, inside=inside)
    told = _told(every, missing, left_out)
    written = done = 0
    with StoreWriter(target, compression=compression, told=told) as store:
        for split, scene in splits:
            with block_cache(_cache_for(scene)):
                for patch in patches_of(scene, cut, missing):
                    written += _write(store, patch, scene, split)
                    done += 1
                    if progress is not None:
                        progress(Progress(done, total, written, time.monotonic() - began))
    return Conversion(
        target=target,
        patches=total,
        written=done,
        kept=0,
        redone=0,
        removed=0,
        skipped=(),
        bytes=Path(target, DATA_FILE).stat().st_size,
        seconds=time.monotonic() - began,
        report=None,
    )


def _cache_for(scene: Scene) -> int:
    """Bytes of decoded blocks to keep: two rows of blocks of image and labels."""
    pixel = scene.image.dtype.itemsize * len(scene.image.band_names) + 1
    return max(_CACHE_BYTES, 2 * _BLOCK_ROWS * scene.grid.width * pixel)


def _write(store: StoreWriter, patch: CutPatch, scene: Scene, split: str | None) -> int:
    """Add a patch; the bytes of its value."""
    return store.write(
        patch.key,
        patch.arrays,
        grid=patch.grid,
        nodata=patch.nodata,
        source=scene.id,
        group=KIND,
        sample=patch.key,
        split=split,
    )


def _by_split(
    scenes: Sequence[Scene] | Mapping[str, Sequence[Scene]],
) -> list[tuple[str | None, Scene]]:
    if isinstance(scenes, Mapping):
        return [(split, scene) for split, some in scenes.items() for scene in some]
    return [(None, scene) for scene in scenes]


def _check(scenes: Sequence[Scene], *, size: Size | None, stride: Size | None) -> None:
    """See that the scenes make one store."""
    if not scenes:
        raise ConfigError("there is no scene to convert; give at least one")
    if size is None and stride is not None:
        raise ConfigError(f"stride is {stride}, but whole scenes have none; give size= too")
    twice = [scene_id for scene_id, n in Counter(scene.id for scene in scenes).items() if n > 1]
    if twice:
        raise ConfigError(
            f"{len(twice)} ids are of two scenes, the first is {twice[0]!r}; rename one"
        )
    first = scenes[0]
    names = (*first.image.band_names, MASK, VALID)
    if len({*names}) < len(names):
        raise ConfigError(
            f"scene {first.id!r}: its bands {names[:-2]} are not told apart from each other, or from {MASK!r} "
            f"and {VALID!r}, which the store has beside them; rename them"
        )
    for scene in scenes[1:]:
        for what, one, other in (
            ("bands", first.image.band_names, scene.image.band_names),
            ("dtype", first.image.dtype, scene.image.dtype),
            ("labels", first.labels is not None, scene.labels is not None),
            ("classes", _classes(first), _classes(scene)),
        ):
            if one != other:
                raise ConfigError(
                    f"scene {scene.id!r}: {what} {other}, but of scene {first.id!r} {one}; scenes of one "
                    "store have the same"
                )


def _classes(scene: Scene) -> Any:
    return None if scene.labels is None else scene.labels.class_map


def _count(scenes: Sequence[Scene], cut: Cut) -> tuple[int, int]:
    """(windows that become patches, windows outside the AOI)."""
    kept = every = 0
    for scene in scenes:
        windows = windows_of(scene, cut)
        every += len(windows)
        kept += sum(len(kept_in_row(scene, windows, row)) for row in windows.rows)
    if not kept:
        raise ConfigError(
            f"the scenes give no window of size {cut.size} with edge={cut.edge!r} inside their AOIs; choose "
            "a smaller size"
        )
    return kept, every - kept


def _told(scenes: Sequence[Scene], missing: Missing, left_out: int) -> dict[str, Any]:
    """What the manifest tells of the store as a whole."""
    classes = _classes(scenes[0])
    return {
        "format": _FORMAT,
        "kind": KIND,
        "scenes": [scene.id for scene in scenes],
        "classes": None if classes is None else classes.model_dump(mode="json"),
        "mask": None if classes is None else MASK,
        "valid": VALID if missing.array else None,
        "outside_aoi": left_out,
    }
