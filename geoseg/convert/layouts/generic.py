"""A layout for any folder or table of images, made of a pattern.

A pattern is a path relative to the source folder. `*` stands for any text within a name, `**/` for any folders,
`{key}` for the key of a patch, `{band}` for the name of a band (one file a band), `{split}` and `{label}` for what
they say. As everywhere, a pattern without a capital letter does not mind upper and lower case.

- `images="{split}/images/{key}.tif", masks="{split}/masks/{key}.png"`: images and masks in folders by split.
- `images="{label}/*.jpg"`: a folder a class.
- `images="{key}/{key}_{band}.tif", bands=("B02", "B03", "B04")`: a folder a patch, a file a band.
- `csv="pairs.csv"`: a table with the columns image (and mask, key, split, labels).
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from geoseg.convert.finding.settling import settled
from geoseg.convert.layout import Group, Layout
from geoseg.convert.templates import fields_of
from geoseg.convert.wildcards import path_pattern, plain_pattern
from geoseg.errors import ConfigError

__all__ = ["ANY_IMAGE", "IMAGES", "generic", "path_pattern", "settled"]

IMAGES = "images"
"""The name of its only group."""
ANY_IMAGE = r"\.(?:tiff?|jp2|png|jpe?g|img|vrt)$"
"""What is taken where no pattern is given."""


def generic(
    *,
    images: str | None = None,
    masks: str | None = None,
    csv: str | None = None,
    bands: Sequence[str] | None = None,
    key: str | None = None,
) -> Layout:
    """A layout of one group, `images`.

    Args:
        images: The pattern of images; None takes every image below the folder. With a table whose column
            `image` names folders: the files in each, such as `{band}.tif`.
        masks: The pattern of masks, with `{key}` as in `images`; a mask becomes the tensor `mask`.
        csv: A table in CSV or Parquet instead; see `geoseg.convert.finding.tables`.
        bands: Names of the bands, in the order of the file, of which those are left out that come after; None
            leaves that to `settled`.
        key: A template of keys; None is `{key}` where the pattern has it, else the name without ending.

    Raises:
        ConfigError: A pattern cannot work; why is told.
    """
    if images is None and csv is None and masks is not None:
        raise ConfigError("masks need a pattern of images with the same {key}; give images, too")
    if isinstance(bands, str):  # its letters would be bands
        raise ConfigError(f"bands is {bands!r}, expected a list of names, such as [{bands!r}]")
    images = None if images is None else plain_pattern(images)
    masks = None if masks is None else plain_pattern(masks)
    try:
        if csv is not None:
            group = _of_table(csv, images=images, masks=masks, bands=bands, key=key)
        elif images is not None:
            group = _of_pattern(images, masks=masks, bands=bands, key=key)
        else:
            group = _group(kind="file", pattern=ANY_IMAGE, key=key or "{stem}", bands=bands)
    except ValidationError as error:
        said = "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
        raise ConfigError(said) from error
    return Layout(name="generic", title="Images (and masks) in a folder or table", groups=(group,))


def _group(
    *,
    kind: str,
    pattern: str = "",
    key: str,
    bands: Sequence[str] | None,
    file: str | None = None,
    table: str | None = None,
) -> Group:
    fields = {
        "name": IMAGES,
        "title": "the folder of images",
        "flag": "--dataset-dir",
        "kind": kind,
        "pattern": pattern,
        "key": key,
        "bands": tuple(bands or ()),
        "more_bands": bool(bands) and "band" not in fields_of(file or ""),
        "file": file,
        "table": table,
    }
    return Group.model_validate(fields)


def _of_table(
    table: str,
    *,
    images: str | None,
    masks: str | None,
    bands: Sequence[str] | None,
    key: str | None,
) -> Group:
    if masks is not None:
        raise ConfigError(
            f"{table}: masks of a table are in its column mask; leave the pattern out"
        )
    if images is not None and (strange := _strange(images)):
        raise ConfigError(
            f"{images!r}: a table names the images itself; beside it this pattern names the files within folders "
            f"that the table names, such as {{band}}.tif, and has only {{key}}, {{band}} and plain text, got "
            f"{strange!r}; leave images out, or the table"
        )
    return _group(
        kind="file" if images is None else "folder",
        key=key or "{stem}",
        bands=bands,
        file=images,
        table=table,
    )


def _of_pattern(
    images: str, *, masks: str | None, bands: Sequence[str] | None, key: str | None
) -> Group:
    regex = path_pattern(images, bands=bands)
    fields = fields_of(images)
    several = "band" in fields
    group = _group(
        kind="files" if several else "file",
        pattern=regex,
        key=key or ("{key}" if "key" in fields else "{stem}"),
        bands=bands,
        file=_file_of_band(images, key=key) if several else None,
    )
    if masks is not None and not {"key"} <= {*fields} & {*fields_of(masks)}:
        raise ConfigError(
            f"images {images!r} and masks {masks!r} are told to belong together by {{key}}; put it in both"
        )
    return group.model_copy(
        update={
            "on": "path",
            "split": "{split}" if "split" in fields else None,
            "label": "{label}" if "label" in fields else None,
            "mask": None if masks is None else path_pattern(masks),
        }
    )


def _file_of_band(images: str, *, key: str | None) -> str:
    """The end of the pattern from the first part with `{band}` on: a template within the patch's folder."""
    parts = images.split("/")
    first = next(number for number, part in enumerate(parts) if "{band}" in part)
    file = "/".join(parts[first:])
    if strange := _strange(file):
        raise ConfigError(
            f"{images!r}: from {{band}} on, a pattern has only {{key}}, {{band}} and plain text, got "
            f"{strange!r}; move that to a folder in front"
        )
    if "{key}" in file and key not in (None, "{key}"):
        raise ConfigError(
            f"{images!r}: the names of files hold {{key}}, so the key cannot be {key!r}; leave it out"
        )
    return file


def _strange(file: str) -> str | None:
    """What no name of a file within a patch's folder has: a field of the search, or a star."""
    strange = set(fields_of(file)) - {"key", "band", "name", "stem"} or {*"*?"} & {*file}
    return min(strange, default=None)
