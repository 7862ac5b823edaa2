"""Where masks and their manifest go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from geoseg.choices import one_of
from geoseg.errors import ConfigError, StoreError
from geoseg.outputs import local_path, refuse_inputs
from geoseg.prepare.vectormasks.regions import Region
from geoseg.prepare.vectormasks.report import ManifestFormat
from geoseg.spec import Spec, files_of
from geoseg.warn import warn

_TIFF = (".tif", ".tiff")
_SIDECAR = ".aux.xml"
_ABOUT_OLD = (_SIDECAR, ".ovr", ".msk")
"""Ends of files that tell about the file that is replaced."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files of one run, all in one folder."""

    folder: Path
    masks: tuple[str, ...]
    """One for each region, in order."""
    manifest: str
    named: bool
    """Whether each mask has its class names beside it."""

    @classmethod
    def of(
        cls,
        out: Any,
        regions: Sequence[Region],
        *,
        framed: bool,
        manifest: ManifestFormat,
        named: bool,
    ) -> Outputs:
        """Name the files.

        Args:
            out: A folder, or the one mask.
            regions: The masks.
            framed: Whether they are of frames.
            manifest: How the manifest is written.
            named: Whether each mask gets its class names beside it.

        Raises:
            ConfigError: Masks of frames are to go to one file, or there is no such manifest.
            StoreError: It is no local path.
        """
        one_of(manifest, ("csv", "parquet"), name="manifest")
        path = local_path(os.fspath(out))
        if path.suffix.lower() not in _TIFF:
            files = tuple(str(path / f"{region.name}.tif") for region in regions)
            return cls(path, files, str(path / f"manifest.{manifest}"), named)
        if framed:
            raise ConfigError(
                f"{path}: is one file, but each frame has a mask of its own; pass a folder"
            )
        beside = path.with_name(f"{path.stem}.manifest.{manifest}")
        return cls(path.parent, (str(path),), str(beside), named)

    @property
    def sidecars(self) -> tuple[str, ...]:
        """The files of class names, one beside each mask."""
        return tuple(uri + _SIDECAR for uri in self.masks) if self.named else ()

    @property
    def all(self) -> tuple[str, ...]:
        """All files, the manifest last."""
        return (*self.masks, *self.sidecars, self.manifest)

    def check(self, inputs: Sequence[Spec], *, mode: Literal["error", "overwrite"]) -> None:
        """See that nothing is replaced that may not be.

        Raises:
            ConfigError: An output is an input.
            StoreError: A file is there already and `mode` is "error".
        """
        one_of(mode, ("error", "overwrite"), name="mode")
        refuse_inputs(self.all, [uri for source in inputs for uri in files_of(source)])
        there = [uri for uri in self.all if Path(uri).exists()] if mode == "error" else []
        if there:
            raise StoreError(
                f"{there[0]}: is there already, as {len(there)} of {len(self.all)} files; choose another "
                'place, remove them, or pass mode="overwrite"'
            )

    def tidy(self) -> None:
        """Remove what told about files that were replaced, and count masks of another run."""
        made = set(self.all)
        for uri in self.masks:
            for suffix in _ABOUT_OLD:
                if uri + suffix not in made:
                    Path(uri + suffix).unlink(missing_ok=True)
        if (
            len(self.masks) == 1
            and Path(self.manifest).name != f"manifest{Path(self.manifest).suffix}"
        ):
            return  # a single file, whose folder may hold anything
        others = [p.name for p in sorted(self.folder.glob("*.tif")) if str(p) not in made]
        if others:
            warn(
                f"{self.folder}: holds {len(others)} files that are no masks of this run, such as "
                f"{others[0]}; who reads all of the folder reads them too: go by {self.manifest}"
            )
