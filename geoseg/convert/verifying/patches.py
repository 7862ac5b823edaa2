"""One patch of a store against its original files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from numpy.typing import NDArray

from geoseg.convert.layout import Group
from geoseg.convert.patch import Patch, within
from geoseg.convert.verifying.bits import first_difference
from geoseg.convert.verifying.faults import Fault, FaultKind, Faults
from geoseg.convert.verifying.fields import Fields
from geoseg.convert.verifying.originals import Original, read_original
from geoseg.convert.verifying.places import elsewhere, misplaced, unlike
from geoseg.convert.verifying.rows import Rows
from geoseg.convert.verifying.told import untrue
from geoseg.errors import GeosegError, SourceError
from geoseg.sources.store.compression import compression_of, plain
from geoseg.sources.store.reader import StoreReader


@dataclass(slots=True)
class Judge:
    """Compares patches and counts what it has looked at."""

    reader: StoreReader
    rows: Rows
    fields: Fields
    faults: Faults
    tensors: int = 0
    files: int = 0
    nbytes: int = 0
    hashes: int = 0

    def compare(self, patch: Patch, group: Group) -> None:
        """All that there is to say of one patch; faults are collected."""
        key, files = patch.key, group.files(patch)
        value = self.reader.stored(key)
        cells = self.rows.cells(key)
        self._hash(key, value, cells)
        try:
            arrays = _decoded(value, f"{self.reader.uri}: {key}")
        except SourceError as error:
            self.faults.add(Fault("damaged", key, str(error)))
            return
        tensors = [tensor for _, pairs in files for tensor, _ in pairs]
        self._names(key, {*arrays}, {*tensors})
        originals: dict[str, Original] = {}
        mask = None if patch.mask is None else within(patch.root, patch.mask)
        for path, pairs in files:
            is_mask = path == mask and (path, pairs) == files[-1]
            self._file(key, path, pairs, arrays, originals, is_mask=is_mask)
        if cells:
            told = self.fields.untrue(patch, cells) if self.rows.is_whole else []
            self._row(key, arrays, originals, tensors, told)
        elif self.rows.path is not None:
            self.faults.add(Fault("manifest", key, f"{key}: the manifest has no row of it"))

    def _hash(self, key: str, value: bytes, cells: Mapping[str, Any]) -> None:
        """Whether the bytes are those that the manifest tells of."""
        told, kind = cells.get("sha256"), compression_of(value)
        if told is not None:
            self.hashes += 1
            found = hashlib.sha256(value).hexdigest()
            if found != told:
                text = f"{key}: the value has sha256 {found}, the manifest tells {told}"
                self.faults.add(Fault("hash", key, text, stored=found, expected=told))
        elif cells and self.rows.is_whole:
            text = f"{key}: the manifest does not tell its sha256"
            self.faults.add(Fault("manifest", key, text))
        if self.rows.is_whole and cells and cells["compression"] != kind:
            text = f"{key}: the manifest tells of the compression {cells['compression']}, found is {kind}"
            self.faults.add(Fault("manifest", key, text))

    def _names(self, key: str, found: set[str], expected: set[str]) -> None:
        for tensor in sorted(expected - found):
            text = f"{key}: has no tensor {tensor!r}"
            self.faults.add(Fault("names", key, text, tensor=tensor))
        for tensor in sorted(found - expected):
            text = f"{key}: has a tensor {tensor!r} that no file gives"
            self.faults.add(Fault("names", key, text, tensor=tensor))

    def _file(
        self,
        key: str,
        path: str,
        pairs: tuple[tuple[str, int], ...],
        arrays: Mapping[str, NDArray[Any]],
        originals: dict[str, Original],
        *,
        is_mask: bool,
    ) -> None:
        try:
            original = read_original(path, [band for _, band in pairs], is_mask=is_mask)
        except SourceError as error:
            self.faults.add(Fault("file", key, f"{key}: {error}", file=path))
            return
        self.files += 1
        for at, (tensor, band) in enumerate(pairs):
            originals[tensor] = replace(
                original, planes=(original.planes[at],), nodata=(original.nodata[at],)
            )
            if tensor in arrays:
                pair = arrays[tensor], original.planes[at]
                self._tensor(pair, key=key, tensor=tensor, file=path, band=band)

    def _tensor(
        self,
        pair: tuple[NDArray[Any], NDArray[Any]],
        *,
        key: str,
        tensor: str,
        file: str,
        band: int,
    ) -> None:
        """Compare a tensor with its original."""
        stored, expected = pair
        self.tensors += 1
        self.nbytes += expected.nbytes
        where = f"{key}: {tensor} against band {band} of {file}"
        sides: tuple[tuple[FaultKind, str, str], ...] = (
            ("dtype", stored.dtype.name, expected.dtype.name),
            ("shape", str(stored.shape), str(expected.shape)),
        )
        for kind, got, wanted in sides:
            if got != wanted:
                text = f"{where}: the {kind} is {got}, expected {wanted}"
                self.faults.add(Fault(kind, key, text, tensor, file, stored=got, expected=wanted))
                return
        if (found := first_difference(stored, expected)) is not None:
            text = (
                f"{where}: {found.count} of {expected.size} pixels differ, the first at row {found.row}, "
                f"column {found.col}: {found.stored}, expected {found.expected}"
            )
            self.faults.add(Fault("values", key, text, tensor, file, **asdict(found)))

    def _row(
        self,
        key: str,
        arrays: Mapping[str, NDArray[Any]],
        originals: Mapping[str, Original],
        tensors: Sequence[str],
        told: Sequence[str],
    ) -> None:
        """Whether the manifest tells the truth; where a file cannot be read the place is not known."""
        is_whole, bounds = self.rows.is_whole, self.rows.cells(key)["bounds"]
        readable = originals.keys() >= {*tensors}
        wrong, apart = [*told], list[tuple[str, str]]()
        try:
            if (row := self.rows.row(key)) is not None:
                if readable:
                    wrong += misplaced(row, bounds, originals, is_whole=is_whole)
                    apart = elsewhere(originals)
                wrong += unlike(row, originals, is_whole=is_whole)
                wrong += untrue(row, arrays, order=tensors, is_whole=is_whole)
        except GeosegError as error:
            wrong.append(str(error))
        for text in wrong:
            self.faults.add(Fault("manifest", key, f"{key}: {text}"))
        for tensor, text in apart:
            self.faults.add(Fault("place", key, f"{key}: {text}", tensor=tensor))


def _decoded(value: bytes, where: str) -> dict[str, NDArray[Any]]:
    """The arrays of a value, by the safetensors library and not by the reader of this one."""
    import safetensors.numpy

    try:
        arrays: dict[str, NDArray[Any]] = safetensors.numpy.load(bytes(plain(value, where=where)))
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{where}: is no safetensors value: {error}; write it again") from error
    return arrays
