"""VolumeZip: a data set of volumes in one zip."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

from geoseg.choices import one_of
from geoseg.errors import ConfigError, SourceError
from geoseg.sources.cache import remember, stamp
from geoseg.volumes.metadata import ImageAxes, VolumeMetadata
from geoseg.volumes.rle import Order
from geoseg.volumes.writing.words import inner_path, path_text
from geoseg.volumes.zip.archive import Archive, open_archive
from geoseg.volumes.zip.folder import image_folder
from geoseg.volumes.zip.frame import Frame
from geoseg.volumes.zip.names import nearest
from geoseg.volumes.zip.table import Table, open_table

if TYPE_CHECKING:
    from geoseg.volumes.diagnose import Diagnosis
    from geoseg.volumes.validate import VolumeReport

Split = Literal["train", "validation", "test"]


class VolumeZip:
    """Volumes and masks of a zip in the layout of H2O Hydrogen Torch, read where it lies.

    The zip holds Parquet files, called frames, and a folder of images. A row of a frame names an image
    (`image`), lists all classes (`class_id`) and a run-length text for each (`rle_mask`), and may tell
    its fold (`fold`); frames of a test have images only.

    Nothing is extracted to disk. A row reads its image and masks when asked. Pickled, it is small: it
    holds no open file and no pixels; threads, forked and spawned processes may share it. A zip that
    changes after it was opened is noticed and refused.

    A zip is refused as a whole for members that lead out of it (absolute names, drive letters,
    backslashes, ".."), symbolic links, encrypted members, and two members of one name.
    """

    def __init__(
        self,
        uri: str | os.PathLike[str],
        *,
        train: str | None = "train.pq",
        validation: str | None = None,
        test: str | None = None,
        folder: str | None = None,
        image_axes: ImageAxes | None = None,
        rle_order: Order | None = None,
    ) -> None:
        """Open a zip: its list of members, and what its frames tell of themselves.

        Args:
            uri: A local file.
            train: Name of the Parquet file in the zip; None: there is no such frame.
            validation: As `train`.
            test: As `train`.
            folder: That of the images in the zip, "" for no folder; None: the one there is.
            image_axes: Axes of .npy, .npz and NIfTI arrays, channels left out; see `geoseg.volumes.axes`
                for where those stand. None: as the zip's own metadata says, else "HWD". TIFF files need
                none: their pages, or else their bands, are the slices.
            rle_order: Axes of the run-length text, from the fastest to the slowest. None: as the zip's own
                metadata says, else "dhw", as H2O's own 3D decoder reads it.

        Raises:
            SourceError: The zip, or a frame, is missing, damaged or unsafe; the images' folder is not
                clear; frames contradict each other.
            ConfigError: An argument is unknown, or contradicts the zip's own metadata.
        """
        self.uri = path_text(uri, what="the zip")
        if image_axes is not None:
            one_of(image_axes, ImageAxes, name="image_axes")
        if rle_order is not None:
            one_of(rle_order, Order, name="rle_order")
        self._stamp = stamp(self.uri)
        archive = self.archive
        names: dict[Split, str | None] = {"train": train, "validation": validation, "test": test}
        given = {
            split: inner_path(name, what=split) for split, name in names.items() if name is not None
        }
        self._files: dict[Split, str] = {
            split: archive.find(name) or name for split, name in given.items()
        }
        for split, name in self._files.items():
            _check_frame(archive, split=split, name=name)
        inner = None if folder is None else inner_path(folder, what="folder")
        self.folder = image_folder(archive, inner)
        """Of the images, with a slash at its end, or empty."""
        told = [(name, self.table(split).metadata) for split, name in self._files.items()]
        own = _common(self.uri, [(name, metadata) for name, metadata in told if metadata])
        self.image_axes: ImageAxes = _agreed(
            self.uri, "image_axes", image_axes, own.image_axes if own else None, "HWD"
        )
        """Axes of stored arrays, channels left out."""
        self.rle_order: Order = _agreed(
            self.uri, "rle_order", rle_order, own.rle_order if own else None, "dhw"
        )
        """Axes of the run-length text, from the fastest to the slowest."""
        self.told_classes = own.classes if own else ()
        """Names of the classes in our own metadata; empty where these tell none."""

    @property
    def files(self) -> Mapping[Split, str]:
        """Names of the Parquet files by split, those that are there."""
        return MappingProxyType(self._files)

    @property
    def archive(self) -> Archive:
        """The open zip, one for each process.

        Raises:
            SourceError: The file has changed since this object was made.
        """
        if self._stamp is not None and stamp(self.uri) != self._stamp:
            raise SourceError(
                f"{self.uri}: the file has changed, or is gone, since it was opened; open it again with "
                "VolumeZip"
            )
        return open_archive(self.uri)

    def frame(self, split: Split) -> Frame:
        """The rows of a frame, read when asked.

        Raises:
            ConfigError: No file is named for the frame.
            SourceError: The frame's columns are not as the format wants them.
        """
        table = self.table(split)
        if table.problems:
            raise SourceError("; ".join(table.problems))
        return Frame(self, split, len(table.names))

    def table(self, split: Split) -> Table:
        """What is read once of a frame, kept for the whole process.

        Raises:
            ConfigError: No file is named for the frame.
            SourceError: It is no Parquet file, or damaged.
        """
        name = self._files.get(split)
        if name is None:
            named = ", ".join(f"{key}={value!r}" for key, value in self._files.items()) or "none"
            raise ConfigError(
                f"{self.uri}: there is no frame {split!r}; frames that are named: {named}; name its file, "
                f"as in VolumeZip(uri, {split if split in get_args(Split) else 'train'}='NAME.pq')"
            )
        archive, labelled = self.archive, split != "test"
        return remember(
            ("volume frame", self.uri, name, labelled),
            lambda: open_table(archive, name, labelled=labelled),
            files=(self.uri,),
            nbytes=lambda table: table.nbytes,
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the lists: those of our own metadata, else of the first row.

        That is the first row whose list is sound: no other one is looked at, so that a zip opens at once.
        `validate` looks at all, takes the classes that most rows list, and tells which rows disagree. Empty
        where no frame has labels.
        """
        if self.told_classes:
            return self.told_classes
        for split in self._files:
            first = self.table(split).first_classes
            if first:
                return first
        return ()

    def validate(
        self, *, axes: bool = True, progress: Callable[[int, int], None] | None = None
    ) -> VolumeReport:
        """Every problem of the whole zip, in one pass; reads every image and mask, one row at a time.

        Args:
            axes: Whether to warn where the masks of the first volumes look as if they were read along the
                wrong axes; see `diagnose_axes`, which looks at more of them.
            progress: Called after each row with how many are done, and how many there are.
        """
        from geoseg.volumes.validate import validate_zip

        return validate_zip(self, axes=axes, progress=progress)

    def diagnose_axes(self) -> Diagnosis:
        """Which dialect the masks look like; changes nothing of how they are read."""
        from geoseg.volumes.diagnose import diagnose_zip

        return diagnose_zip(self)

    def __repr__(self) -> str:
        frames = ", ".join(f"{split}={name!r}" for split, name in self._files.items())
        return (
            f"VolumeZip({self.uri!r}, {frames}, image_axes={self.image_axes!r}, "
            f"rle_order={self.rle_order!r})"
        )


def _check_frame(archive: Archive, *, split: str, name: str) -> None:
    if name not in archive.names:
        near = nearest(name, archive.names)
        tables = [found for found in archive.names if found.endswith((".pq", ".parquet"))]
        hint = f"did you mean {near!r}?" if near else f"Parquet files in it: {tables or 'none'};"
        raise SourceError(
            f"{archive.uri}: there is no {name!r}, the frame {split!r}; {hint} Name the file with "
            f"{split}='NAME.pq', or leave the frame out with {split}=None"
        )


def _common(uri: str, told: list[tuple[str, VolumeMetadata]]) -> VolumeMetadata | None:
    """What all frames tell alike; SourceError where two differ in what holds for the whole zip."""
    if not told:
        return None
    first_name, first = told[0]
    for name, other in told[1:]:
        for key in ("image_axes", "rle_order", "classes"):
            one, two = getattr(first, key), getattr(other, key)
            if one != two and (key != "classes" or (one and two)):
                raise SourceError(
                    f"{uri}: the geoseg metadata of its frames contradict each other: {key} is {one!r} in "
                    f"{first_name} and {two!r} in {name}; write the zip again"
                )
    return first if first.classes else next((one for _, one in told if one.classes), first)


def _agreed(uri: str, key: str, given: str | None, told: str | None, default: str) -> Any:
    """The given choice, that of the metadata, or the default; ConfigError where the two differ."""
    if given and told and given != told:
        raise ConfigError(
            f"{uri}: {key}={given!r} was given, but the zip's own metadata say {told!r}; leave {key} out"
        )
    return given or told or default
