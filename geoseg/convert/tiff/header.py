"""The tags of a TIFF with one page, as they stand in the file (TIFF 6.0; BigTIFF)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_TAGS: dict[int, tuple[int, ...]] = {
    254: (4,),  # NewSubfileType
    256: (3, 4),  # ImageWidth
    257: (3, 4),  # ImageLength
    258: (3,),  # BitsPerSample
    259: (3,),  # Compression
    262: (3,),  # PhotometricInterpretation
    266: (3,),  # FillOrder
    269: (2,),  # DocumentName
    270: (2,),  # ImageDescription
    271: (2,),  # Make
    272: (2,),  # Model
    273: (3, 4, 16),  # StripOffsets
    274: (3,),  # Orientation
    277: (3,),  # SamplesPerPixel
    278: (3, 4),  # RowsPerStrip
    279: (3, 4, 16),  # StripByteCounts
    282: (5,),  # XResolution
    283: (5,),  # YResolution
    284: (3,),  # PlanarConfiguration
    296: (3,),  # ResolutionUnit
    305: (2,),  # Software
    306: (2,),  # DateTime
    315: (2,),  # Artist
    316: (2,),  # HostComputer
    317: (3,),  # Predictor
    322: (3, 4),  # TileWidth
    323: (3, 4),  # TileLength
    324: (4, 16),  # TileOffsets
    325: (3, 4, 16),  # TileByteCounts
    338: (3,),  # ExtraSamples
    339: (3,),  # SampleFormat
    700: (1, 7),  # XMP
    33432: (2,),  # Copyright
    33550: (12,),  # ModelPixelScale
    33723: (1, 4, 7),  # IPTC
    33922: (12,),  # ModelTiepoint
    34264: (12,),  # ModelTransformation
    34377: (1,),  # Photoshop
    34665: (4, 13, 16, 18),  # Exif
    34675: (7,),  # ICC profile
    34735: (3,),  # GeoKeyDirectory
    34736: (12,),  # GeoDoubleParams
    34737: (2,),  # GeoAsciiParams
    42112: (2,),  # GDAL's metadata
    42113: (2,),  # GDAL's nodata
}
"""{tag: the types in which a plain file has it}; a file with any other tag or type is GDAL's."""

_TEXTS = (269, 270, 271, 272, 305, 306, 315, 316, 700, 33432, 33723, 34377, 42112)
_UNREAD = frozenset((*_TEXTS, 282, 283, 34665, 34675))
"""Texts and the like: that a file has them is noted, what they say changes nothing and is not looked at."""
SCALE, TIEPOINT, MATRIX = 33550, 33922, 34264
"""Where the image lies: other numbers in each file."""
PLACE = (SCALE, TIEPOINT, MATRIX)

_ALONE = (254, 266, 274)
"""These change what the pixels mean: (full resolution, most significant bit first, top left) is plain."""
_PLAIN_VALUES = (0, 1, 1)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 12: 8, 13: 4, 16: 8, 18: 8}
"""{type of a tag: bytes a value}."""
_CODES = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_WIDTHS = {"H": 2, "I": 4, "Q": 8}


class NotPlainError(ValueError):
    """A file that is left to GDAL: the quick reader does not know it, or it is damaged."""


class DamagedError(ValueError):
    """A block that cannot be decoded, though the header is sound; the text says which and why."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How numbers stand in one of the four kinds of TIFF."""

    order: str
    first: struct.Struct
    """The offset of the first page, at the end of the file's head."""
    count: struct.Struct
    entry: struct.Struct
    """Tag, type, number of values, and their bytes or the offset of these."""
    offset: struct.Struct


def _form(order: str, offset: str, count: str) -> _Form:
    size = struct.calcsize(order + offset)
    return _Form(
        order,
        struct.Struct(f"{order}{size}x{offset}"),
        struct.Struct(order + count),
        struct.Struct(f"{order}HH{offset}{size}s"),
        struct.Struct(order + offset),
    )


_FORMS = {
    b"II*\x00": _form("<", "I", "H"),
    b"MM\x00*": _form(">", "I", "H"),
    b"II+\x00": _form("<", "Q", "Q"),
    b"MM\x00+": _form(">", "Q", "Q"),
}
_BIG_HEADS = (b"\x08\x00\x00\x00", b"\x00\x08\x00\x00")


@dataclass(frozen=True, slots=True)
class Header:
    """The tags of the one page of a TIFF."""

    order: str
    """`<` or `>`, as numpy and struct write byte orders."""
    kinds: tuple[int, ...]
    """Of each tag in the file, its number and type as one number."""
    values: dict[int, bytes]
    """{tag: the bytes of its values}, each of them within the file; without texts that are not looked at."""
    codes: dict[int, str]
    """{tag: the struct code of its type}, of tags with whole numbers."""
    outside: dict[int, slice]
    """{tag: where its values are in the file}, of those in `values` that do not stand in the directory."""

    def raw(self, tag: int) -> bytes:
        """The bytes of a tag's values; empty without the tag."""
        return self.values.get(tag, b"")

    @property
    def common(self) -> tuple[slice, ...]:
        """`outside` without the place of the image: bytes that may be equal in many files."""
        return tuple(part for tag, part in self.outside.items() if tag not in PLACE)

    def numbers(self, tag: int) -> tuple[int, ...]:
        """The whole numbers of a tag; none without the tag."""
        if tag not in self.values:
            return ()
        code, value = self.codes[tag], self.values[tag]
        return struct.unpack(f"{self.order}{len(value) // _WIDTHS[code]}{code}", value)

    def number(self, tag: int, default: int | None = None) -> int:
        """The one number of a tag.

        Raises:
            NotPlainError: There are several, or there is none and no default.
        """
        found = self.numbers(tag) or (default,)
        if len(found) != 1 or found[0] is None:
            raise NotPlainError(f"tag {tag} holds {len(found)} numbers")
        return found[0]


def directory_of(file: bytes) -> tuple[bytes, bytes]:
    """The head of a TIFF and the directory of its first page, as they stand in the file.

    Raises:
        NotPlainError: It is no TIFF.
        struct.error: It is too short.
    """
    form = _FORMS.get(file[:4])
    if form is None or (form.offset.size == 8 and file[4:8] not in _BIG_HEADS):  # noqa: PLR2004
        raise NotPlainError("no TIFF")
    (start,) = form.first.unpack_from(file)
    (count,) = form.count.unpack_from(file, start)
    size = form.count.size + count * form.entry.size + form.offset.size
    return file[: form.first.size], file[start : start + size]


def parse(file: bytes) -> Header:
    """The tags of a TIFF, given all its bytes.

    What is made of a file depends on nothing but its length, its `directory_of` and what the header has
    from `outside` of that.

    Raises:
        NotPlainError: It is no TIFF, has several pages, a tag that is not known to be harmless, or one
            whose values lie outside the file.
        struct.error: It is too short.
    """
    head, directory = directory_of(file)
    form = _FORMS[head[:4]]
    (count,) = form.count.unpack_from(directory)
    stop = form.count.size + count * form.entry.size
    if not count or form.offset.unpack_from(directory, stop) != (0,):
        raise NotPlainError("several pages")
    header = Header(form.order, *_tags(file, form, directory[form.count.size : stop]))
    for tag, plain in zip(_ALONE, _PLAIN_VALUES, strict=True):
        if tag in header.values and header.numbers(tag) != (plain,):
            raise NotPlainError(f"tag {tag} is not {plain}")
    return header


def _tags(
    file: bytes, form: _Form, entries: bytes
) -> tuple[tuple[int, ...], dict[int, bytes], dict[int, str], dict[int, slice]]:
    """`Header.kinds`, `Header.values`, `Header.codes` and `Header.outside`."""
    kinds: list[int] = []
    values: dict[int, bytes] = {}
    codes: dict[int, str] = {}
    outside: dict[int, slice] = {}
    last = 0
    for tag, kind, count, held in form.entry.iter_unpack(entries):
        if tag <= last or not count or kind not in _TAGS.get(tag, ()):
            raise NotPlainError(f"tag {tag} of type {kind}")
        size = count * _SIZES[kind]
        kinds.append(tag << 16 | kind)
        last = tag
        at = 0 if size <= len(held) else form.offset.unpack(held)[0]
        if at + size > len(file):
            raise NotPlainError(f"tag {tag} lies outside the file")
        if tag in _UNREAD:
            continue
        if size > len(held):
            outside[tag] = slice(at, at + size)
        values[tag] = held[:size] if size <= len(held) else file[at : at + size]
        if kind in _CODES:
            codes[tag] = _CODES[kind]
    return tuple(kinds), values, codes, outside
