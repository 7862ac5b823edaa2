"""Histograms in a folder, by a name that tells what they are of."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.outputs import local_path, written_whole
from geoseg.scene import Scene
from geoseg.sources.statistics.filestate import state_of
from geoseg.spec import Spec

Counts = NDArray[np.uint16]
State = tuple[tuple[str, tuple[int, int] | None], ...]
"""(name, (modification time, bytes)) of files."""

_FORMAT = "geoseg class histogram 1"
_WRONG = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def state_of_scene(scene: Scene) -> State:
    """The state of all files behind a scene's image, labels and AOI, and of those beside them."""
    return tuple(part for uri in scene.inputs for part in state_of(uri))


def kept(folder: str, scene: Scene, side: int, state: State, make: Callable[[], Counts]) -> Counts:
    """The counts of `make`, from their file in a folder if it is there; else it is written.

    Raises:
        ConfigError: The file is damaged, or the scene holds an array and so has no text.
        StoreError: The file cannot be written.
    """
    target = local_path(folder) / f"{_digest(scene, side, state)}.npz"
    if target.exists():
        return _load(target)
    counts = make()
    with written_whole(str(target)) as path:
        np.savez_compressed(path, format=np.array(_FORMAT), counts=counts)
    return counts


def _digest(scene: Scene, side: int, state: State) -> str:
    parts = (scene.image, scene.labels, scene.aoi, scene.reference)
    texts = [part.to_yaml() if isinstance(part, Spec) else part for part in parts]
    return hashlib.sha256(repr([_FORMAT, texts, side, state]).encode()).hexdigest()[:32]


def _load(path: Path) -> Counts:
    try:
        # numpy leaves a damaged file open that it opened itself.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if str(file["format"]) != _FORMAT:
                raise ValueError(f"it is of the format {file['format']}")
            counts: Counts = file["counts"]
    except _WRONG as error:
        raise ConfigError(
            f"{path}: holds no class histogram of geoseg ({error}); delete it to count anew"
        ) from error
    return counts
