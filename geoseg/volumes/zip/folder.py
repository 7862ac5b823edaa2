"""The folder of the images in a zip."""

from __future__ import annotations

from collections import Counter
from unicodedata import normalize

from geoseg.errors import SourceError
from geoseg.volumes.layout import SCORES
from geoseg.volumes.zip.archive import Archive
from geoseg.volumes.zip.images import SUFFIXES


def image_folder(archive: Archive, given: str | None) -> str:
    """The folder of the images, with a slash at its end; empty for the zip's own.

    Args:
        archive: The zip.
        given: Its name, with or without the slash; None: the one that holds images, beside that of scores.

    Raises:
        SourceError: The given one is not there, or there is none, or more than one.
    """
    counts = Counter(name[: name.rfind("/") + 1] for name in archive.names if _is_image(name))
    if len(counts) > 1:
        counts.pop(SCORES, None)
    if given is not None:
        folder = f"{given.strip('/')}/" if given.strip("/") else ""
        for written in (folder, normalize("NFC", folder)):
            if any(name.startswith(written) for name in archive.names):
                return written
        raise SourceError(
            f"{archive.uri}: there is no folder {given!r}; folders with images: {_listed(counts)}"
        )
    if len(counts) == 1:
        return next(iter(counts))
    if counts:
        raise SourceError(
            f"{archive.uri}: several folders hold images: {_listed(counts)}; name one with folder='...'"
        )
    raise SourceError(
        f"{archive.uri}: no folder holds images, expected files that end in {', '.join(SUFFIXES)}"
    )


def images_in(archive: Archive, folder: str) -> list[str]:
    """Names of the images in a folder, without it; those of folders in it are left out."""
    names = (name.removeprefix(folder) for name in archive.names if name.startswith(folder))
    return [name for name in names if "/" not in name and _is_image(name)]


def _is_image(name: str) -> bool:
    """Whether a member is an image, and not what some systems add to a zip."""
    own = name.rsplit("/", 1)[-1]
    hidden = own.startswith(".") or name.startswith("__MACOSX/")
    return not hidden and own.lower().endswith(SUFFIXES)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{folder!r} ({count})" for folder, count in sorted(counts.items())) or "none"
