"""Whether the pages of a TIFF file are the slices of one volume, as far as its writer says what they are.

ImageJ tells the axes as lines of text (channels=2), OME as attributes in XML (SizeC="2"), tifffile the shape of
the array as JSON. Where several axes were laid out one after the other as pages, or planes lie within a page or
behind the only one, reading each page as a slice would be wrong, and the masks would not fit.

A description outlives what it describes: programs that crop a file, or save one of its pages, copy it. So it
counts only where the file is as it says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

from geoseg.volumes.zip.images.tiffhead import TiffHead

_IMAGEJ = re.compile(r"^(images|channels|slices|frames)=(\d{1,9})\s*$", re.MULTILINE)
_OME = re.compile(r"<(?:\w+:)?Pixels\b([^>]*)>")
_SIZE = re.compile(r"\bSize([CZTYX])\s*=\s*[\"'](\d{1,9})[\"']")
_SHAPE = re.compile(r'^\{"shape": \[([\d, ]*)\]')
_PAGES = "a TIFF's pages are the slices of one volume here, and their bands its channels"
_CURE = "write it so, or as .npy with image_axes"


@dataclass(frozen=True)
class Layout:
    """What the pages of a file are."""

    pages: int
    bands: int
    height: int
    width: int
    voxel: int
    """Bytes."""

    @property
    def page(self) -> int:
        """Bytes of a page that is not packed."""
        return self.bands * self.height * self.width * self.voxel


def contradiction(head: TiffHead, found: Layout) -> str:
    """Why pages are not slices, as an error says it; empty where nothing says so.

    Args:
        head: Of the first page.
        found: What the pages are.
    """
    if head.depth > 1:
        return f"a page holds {head.depth} planes (ImageDepth); {_PAGES}; {_CURE}"
    told = {name: count for name, count in _axes(head.description, found).items() if count > 1}
    listed, planes = (
        ", ".join(f"{count} {name}" for name, count in told.items()),
        prod(told.values()),
    )
    # ImageJ and tifffile may write the directory of the first plane only, and the others behind its voxels.
    if found.pages == 1 and planes > 1 and head.room >= planes * found.page:
        return (
            f"its description tells of {listed}, but the count of its pages is 1; {_PAGES}; {_CURE}"
        )
    # Of one axis pages are slices whatever it is called: writers call it channels where nobody named it.
    if len(told) > 1 and planes == found.pages:
        return f"its description says that its pages are {listed}; {_PAGES}; {_CURE}"
    return ""


def _axes(text: str, found: Layout) -> dict[str, int]:
    """How many pages lie along each axis; none where the description does not tell."""
    if text.startswith("ImageJ="):
        return _of_imagej(dict(_IMAGEJ.findall(text)))
    pixels = _OME.search(text) if "openmicroscopy" in text.lower() else None
    if pixels:
        sizes = {axis: int(count) for axis, count in _SIZE.findall(pixels[1])}
        if (sizes.get("Y"), sizes.get("X")) != (found.height, found.width):
            return {}
        # Channels that are the bands of a page are no pages.
        channels = -(-sizes.get("C", 1) // found.bands)
        return {"channels": channels, "slices": sizes.get("Z", 1), "frames": sizes.get("T", 1)}
    shape = _SHAPE.match(text)
    if not shape:
        return {}
    return _of_shape([int(side) for side in shape[1].split(",") if side.strip()], found)


def _of_imagej(told: dict[str, str]) -> dict[str, int]:
    axes = {name: int(told.get(name, 1)) for name in ("channels", "slices", "frames")}
    return axes if prod(axes.values()) > 1 else {"slices": int(told.get("images", 1))}


def _of_shape(shape: list[int], found: Layout) -> dict[str, int]:
    """The axes of an array but for those that lie within a page; none where the array is another one."""
    for side in (found.width, found.height, found.bands):
        if side in shape:
            del shape[len(shape) - 1 - shape[::-1].index(side)]
        elif side > 1:
            return {}
    return {f"along axis {place}": side for place, side in enumerate(shape)}
