"""A zip of a few known members: written with the same bytes each time, read without trust."""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from geoseg.errors import BundleError
from geoseg.outputs import written_whole
from geoseg.shortlist import some

_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member, so that equal models give equal bytes; the earliest that a zip can hold."""
_UNIX = 3
"""The system that members say they come from, whatever this one is."""
_ENCRYPTED = 0x1
_DOS_FOLDER = 0x10
_TOLD = 3
_FAULTS = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    ValueError,  # UnicodeDecodeError too
    RuntimeError,  # NotImplementedError too, of a version of zip that is not known
    struct.error,
    OverflowError,
    IndexError,
)
"""What Python's zipfile raises of damaged files."""


def pack(uri: str, members: Mapping[str, bytes]) -> None:
    """Write members in their order, not compressed, under a temporary name that is changed when whole.

    Raises:
        StoreError: The place cannot be written.
    """
    with written_whole(uri) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            member = zipfile.ZipInfo(name, _DATE)
            member.create_system = _UNIX
            file.writestr(member, content)


def unpack(
    uri: str, layouts: Sequence[Sequence[str]], *, most: Mapping[str, int]
) -> dict[str, bytes]:
    """The content of each member.

    Nothing is written to disk, and no more memory is taken than the file has bytes: members are as long
    in the file as they are outside of it.

    Args:
        uri: The file.
        layouts: The names that it may have, each in their order.
        most: Bytes that a member may have, where it is less than the whole file.

    Raises:
        BundleError: There is no such file, or it is not one that `pack` has written.
    """
    try:
        with zipfile.ZipFile(uri) as file:
            problem = _problem(file, Path(uri).stat().st_size, layouts, most)
            if problem is None:
                return {member.filename: file.read(member) for member in file.infolist()}
    except FileNotFoundError as error:
        raise BundleError(f"{uri}: no such bundle; `geoseg train` writes one") from error
    except _FAULTS as error:
        raise BundleError(
            f"{uri}: is no geoseg bundle, or is damaged ({str(error) or type(error).__name__}); expected "
            f"a zip with {', '.join(layouts[-1])}; copy it anew from where it was made"
        ) from error
    raise BundleError(
        f"{uri}: is no geoseg bundle, or has been changed: {problem}; copy it anew from where it was "
        "made, as one file (a newer geoseg may have written it too)"
    )


def _problem(
    file: zipfile.ZipFile, size: int, layouts: Sequence[Sequence[str]], most: Mapping[str, int]
) -> str | None:
    """What is wrong with the list of members, in words."""
    members = file.infolist()
    for member in members:
        if problem := _problem_of(member, min(size, most.get(member.filename, size))):
            return f"its member {member.orig_filename!r} {problem}"
    if sum(member.file_size for member in members) > size:
        return f"its members together say that they are larger than the file of {size:,} bytes"
    if problem := _problem_of_names([member.filename for member in members], layouts):
        return problem
    if file.comment or members[0].header_offset != 0:
        return "there is something before or behind its members"
    return None


def _problem_of(member: zipfile.ZipInfo, most: int) -> str | None:
    if member.is_dir() or _kind_of(member) not in (0, stat.S_IFREG):
        return "is a link, a folder or a device, expected a file"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if member.compress_type != zipfile.ZIP_STORED:
        return "is compressed, which those of a bundle never are"
    if member.file_size != member.compress_size:
        return f"says that it has {member.file_size:,} bytes but takes {member.compress_size:,}"
    if member.file_size > most:
        return f"says that it has {member.file_size:,} bytes, which is more than {most:,}"
    return None


def _kind_of(member: zipfile.ZipInfo) -> int:
    """What a member becomes where it is unpacked, as Unix has it; 0 where that is not told."""
    if member.external_attr & _DOS_FOLDER:
        return stat.S_IFDIR
    return stat.S_IFMT(member.external_attr >> 16)


def _problem_of_names(names: list[str], layouts: Sequence[Sequence[str]]) -> str | None:
    if any(names == list(layout) for layout in layouts):
        return None
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return f"it has {_listed(twice)} twice"
    likest = max(layouts, key=lambda layout: len({*layout} & {*names}))
    if extra := sorted({*names} - {*likest}):
        return f"it also has {_listed(extra)}"
    if missing := [name for name in likest if name not in names]:
        return f"it has no {_listed(missing)}"
    return f"its members are not in the order {', '.join(likest)}"


def _listed(names: Sequence[str]) -> str:
    return some(map(repr, names), _TOLD)
