"""What tells one input, one model and one machine from another."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from torch import Tensor

from geoseg.labels.manifest import FileStamp, flattened
from geoseg.scene import Scene
from geoseg.spec import FrozenMap, Spec, files_of

_ENDS = 1 << 16
"""Bytes at the beginning and at the end of a file that are looked at."""


def described(scene: Scene) -> FrozenMap[str, str]:
    """The fields of a scene's image and AOI, with file names without their folders."""
    fields = {"image": _plain(scene.image), "aoi": _plain(scene.aoi)}
    return FrozenMap(dict(flattened(fields)))


def stamps_of(scene: Scene) -> tuple[FileStamp, ...]:
    """The files of a scene's image and AOI; of a folder, all files in it."""
    uris = files_of(scene.image) + (() if scene.aoi is None else files_of(scene.aoi))
    return tuple(stamp for uri in dict.fromkeys(uris) for stamp in _stamps(uri))


def weights_digest(weights: Mapping[str, Tensor], told: str) -> str:
    """SHA-256 of tensors by name, and of a text that says how they are used."""
    found = hashlib.sha256(told.encode())
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def machine(device: torch.device) -> FrozenMap[str, str]:
    """What computes and reads, as far as the last digits of scores depend on it.

    GDAL warps and decodes JPEG: pixels of such images hang on its version.
    """
    found = {
        "device": device.type,
        "torch": torch.__version__,
        "gdal": rasterio.__gdal_version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
    found |= _cuda(device) if device.type == "cuda" else {}
    return FrozenMap(found | {"threads": str(torch.get_num_threads())})


def _cuda(device: torch.device) -> dict[str, str]:
    return {
        "device": torch.cuda.get_device_name(device),
        "cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
        "multiplies in": _rounding(torch.backends.cuda.matmul),
        "convolves in": _rounding(torch.backends.cudnn),
    }


def _rounding(backend: Any) -> str:
    """What 32-bit numbers are rounded to before they are multiplied, as torch is told in general and here."""
    places = (torch.backends, backend, getattr(backend, "conv", None))
    told = [getattr(place, "fp32_precision", None) for place in places]
    if told[1] is None:  # torch before 2.9
        return "tf32" if backend.allow_tf32 else "float32"
    return "/".join(str(one) for one in told if one is not None)


def _plain(value: Any, *, name: str = "") -> Any:
    """A Spec as nested mappings of plain values; arrays and tables by their digest."""
    if isinstance(value, Spec):
        fields = type(value).model_fields
        return {key: _plain(getattr(value, key), name=key) for key in fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item, name=name) for item in value]
    if isinstance(value, str):
        return value.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if name == "uri" else value
    if value is None or isinstance(value, bool | int | float):
        return value
    return _digest_of(value)


def _digest_of(value: Any) -> str:
    if isinstance(value, np.ndarray):
        content = np.ascontiguousarray(value).tobytes()
        return f"{value.dtype} {value.shape} {hashlib.sha256(content).hexdigest()}"
    if hasattr(value, "to_wkb"):  # a GeoDataFrame; pickled tables need not be equal
        content = value.to_wkb(hex=True).to_csv().encode()
        return f"table {hashlib.sha256(content).hexdigest()}"
    text = str(value)
    return text if " at 0x" not in text else hashlib.sha256(pickle.dumps(value)).hexdigest()


def _stamps(uri: str) -> Iterator[FileStamp]:
    path = Path(uri)
    try:
        files = sorted(filter(_counts, path.rglob("*"))) if path.is_dir() else [path]
        for file in files:
            yield _stamp(file, file.relative_to(path.parent).as_posix())
    except OSError:  # a URL, or a path of GDAL's own
        yield FileStamp(name=uri.rsplit("/", 1)[-1], size=None, modified=None, digest=None)


def _stamp(path: Path, name: str) -> FileStamp:
    with path.open("rb") as file:
        told = os.fstat(file.fileno())
        content = hashlib.sha256(file.read(_ENDS))
        file.seek(max(told.st_size - _ENDS, 0))
        content.update(file.read(_ENDS))
    return FileStamp(
        name=name, size=told.st_size, modified=told.st_mtime_ns, digest=content.hexdigest()
    )


def _counts(path: Path) -> bool:
    """Whether a file in a folder is content; LMDB changes its lock when it is only read."""
    return path.is_file() and path.name != "lock.mdb"
