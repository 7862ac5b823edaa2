"""Writing stores of LMDB + safetensors: whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from numpy.typing import NDArray

from geoseg.errors import StoreError
from geoseg.grid import Grid
from geoseg.outputs import local_path
from geoseg.sources.store.compression import compressed
from geoseg.sources.store.growing import GrowingEnvironment
from geoseg.sources.store.keys import check_key, key_twice
from geoseg.sources.store.manifest import MANIFEST, ManifestRows, Nodata
from geoseg.sources.store.safetensors_format import encode

PUTS = 512
"""Patches of one transaction at most."""
TRANSACTION_BYTES = 64 << 20
"""Bytes of one transaction at most."""
_MAP_BYTES = 64 << 20
_PAGE = 4096


class StoreWriter:
    """Writes a store: a folder with `data.mdb` and `manifest.parquet`.

    ```python
    with StoreWriter("patches") as store:
        store.write("patch_1", {"B02": blue, "B03": green}, grid=grid, nodata=0)
    ```

    The folder takes its name when the `with` ends without any exception; else nothing is left. Patches
    lie sorted by key; written in that order they make the smallest file. The map grows as it must, so
    that neither address space nor disk is taken beforehand.
    """

    def __init__(
        self,
        uri: str,
        *,
        puts: int = PUTS,
        transaction_bytes: int = TRANSACTION_BYTES,
        map_bytes: int = _MAP_BYTES,
        compression: Literal["zstd"] | None = None,
        told: Mapping[str, Any] | None = None,
    ) -> None:
        """Nothing is made before the `with` begins.

        Args:
            uri: The folder; it must not exist yet, or be empty.
            puts: Patches of one transaction at most.
            transaction_bytes: Bytes of one transaction at most; these are held in memory.
            map_bytes: The size of the map at first; the expected size of the store spares its growing.
            compression: How values are stored; None: as safetensors, which other readers know.
            told: What the manifest notes of the store as a whole, as JSON takes it.
        """
        self._uri, self._target = uri, local_path(uri)
        self._puts, self._most, self._map = puts, transaction_bytes, map_bytes
        self._compression, self._told = compression, told or {}
        self._pending: dict[str, bytes] = {}
        self._pending_bytes = 0
        self._rows = ManifestRows()
        self._process = os.getpid()
        self._hidden: Path | None = None
        self._env: GrowingEnvironment | None = None

    def __enter__(self) -> Self:
        self._hidden = self._make_hidden()
        try:
            self._store.mkdir()
            self._env = GrowingEnvironment(self._store, uri=self._uri, map_bytes=self._map)
        except OSError:  # StoreError is one
            shutil.rmtree(self._hidden, ignore_errors=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if os.getpid() != self._process:
            return  # a forked child must not tidy up for its parent
        try:
            if error is None:
                self.end_transaction()
            self._close()
            if error is None:
                self._finish()
        finally:
            self._close()
            shutil.rmtree(self._hidden or "", ignore_errors=True)

    def write(
        self,
        key: str,
        arrays: Mapping[str, NDArray[Any]],
        *,
        grid: Grid | None = None,
        nodata: Nodata = None,
        metadata: Mapping[str, str] | None = None,
        source: str | None = None,
        group: str | None = None,
        sample: str | None = None,
        split: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> int:
        """Add a patch.

        Args:
            key: Its name, at most 511 bytes as UTF-8.
            arrays: By band name, each (height, width) or (channel, height, width), of any sizes that
                cover the same ground; the manifest keeps their order.
            grid: Where the largest of them lie.
            nodata: The number that means "missing": one for all, or by name.
            metadata: Text that the value itself carries, by name.
            source: What it was made from; this and what follows goes into the manifest.
            group: Which kind of source that is.
            sample: A name that patches share which belong together.
            split: "train", "validation", "test" or the like.
            labels: Names of what the patch as a whole shows.

        Returns:
            The bytes of its value as it is stored.

        Raises:
            StoreError: The key is there already, is empty or too long; a dtype is not known; the grid has
                another size; the disk is full.
        """
        if self._env is None:
            raise StoreError(
                f"{self._uri}: is not open yet; write inside `with StoreWriter(...) as`"
            )
        check_key(key, self._uri)
        if key in self._pending:
            raise key_twice(key, self._uri)
        try:
            value = encode(arrays, metadata)
            value = compressed(value) if self._compression else value
            self._rows.add(
                key,
                arrays,
                value,
                grid=grid,
                nodata=nodata,
                source=source,
                group=group,
                sample=sample,
                split=split,
                labels=labels,
            )
        except StoreError as error:
            raise StoreError(f"{self._uri}: {key}: {error}") from error
        self._pending[key] = value
        self._pending_bytes += len(value) + _PAGE
        if len(self._pending) >= self._puts or self._pending_bytes >= self._most:
            self.end_transaction()
        return len(value)

    def end_transaction(self) -> None:
        """Write to the disk what was added since the last time; done by itself when it is much.

        Raises:
            StoreError: A key is there already, or the disk is full.
        """
        if self._pending and self._env is not None:
            self._env.put(self._pending)
            self._pending, self._pending_bytes = {}, 0

    def _close(self) -> None:
        if self._env is not None:
            self._env.close()

    @property
    def _store(self) -> Path:
        """The store while it is written."""
        return (self._hidden or Path()) / self._target.name

    def _make_hidden(self) -> Path:
        """A hidden folder beside the target, on the same disk."""
        self._refuse_what_is_there()
        parent = self._target.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=f".{self._target.name}-", dir=parent))
        except OSError as error:
            raise StoreError(
                f"{self._uri}: nothing can be written to the folder {parent.absolute()}: "
                f"{error.strerror}; choose another place or change its permissions"
            ) from error

    def _refuse_what_is_there(self) -> None:
        if self._target.is_dir():
            if any(self._target.iterdir()):
                raise StoreError(
                    f"{self._uri}: is a folder with something in it, and a store is made anew; remove "
                    "it or choose another name"
                )
        elif self._target.exists():
            raise StoreError(f"{self._uri}: is a file, expected a folder to be made; remove it")

    def _finish(self) -> None:
        try:
            self._rows.write(self._store / MANIFEST, told=self._told)
            self._refuse_what_is_there()
            self._store.replace(self._target)
        except OSError as error:
            raise StoreError(
                f"{self._uri}: cannot be finished: {error.strerror or error}; make room, or choose "
                "another place"
            ) from error
