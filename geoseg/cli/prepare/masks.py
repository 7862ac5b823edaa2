"""geoseg prepare masks: a vector layer as masks."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from geoseg.cli.facts import show_facts
from geoseg.cli.options import AsJson, Debug
from geoseg.cli.prepare.pairs import class_of, pairs_of
from geoseg.cli.stores import Mode, ModeOption
from geoseg.cli.told import told_briefly
from geoseg.errors import ConfigError

_EVERYTHING = "true", "yes", "1"
_NOTHING = "false", "no", "0"
_MANY = 8
"""Masks that are listed for people; JSON has all."""


class Table(StrEnum):
    """The kind of file of the manifest."""

    parquet = "parquet"
    csv = "csv"


def masks(
    vectors: Annotated[str, typer.Argument(metavar="VECTORS", help="Polygons, lines or points.")],
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REFERENCE",
            help="A raster or .mbtiles whose pixels the masks get; - with --resolution.",
        ),
    ],
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="A .tif for one mask, or a folder for masks.")
    ],
    *,
    class_by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of class ids or names.")
    ] = None,
    class_map: Annotated[
        str | None,
        typer.Option(metavar="NAME:ID,...", help="Ids of the names in that column."),
    ] = None,
    default_class: Annotated[
        str | None, typer.Option(metavar="CLASS", help="The class of features that name none.")
    ] = None,
    background: Annotated[
        str,
        typer.Option(
            metavar="CLASS", help="The class of pixels without a feature; none: they are ignored."
        ),
    ] = "0",
    priority_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Of features one over another the higher wins."),
    ] = None,
    frames: Annotated[
        str | None, typer.Option(metavar="FILE", help="Polygons: a mask for each of them.")
    ] = None,
    frame_id: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of the names of frames.")
    ] = None,
    number_duplicates: Annotated[
        bool, typer.Option("--number-duplicates", help="Number frames of one name; else an error.")
    ] = False,
    all_touched: Annotated[
        str,
        typer.Option(
            metavar="yes|no|CLASS:yes,...",
            help="Whether features fill every pixel that they touch.",
        ),
    ] = "no",
    buffer_m: Annotated[
        str, typer.Option(metavar="M|CLASS:M,...", help="Metres that features are grown by.")
    ] = "0",
    ignore_ring_px: Annotated[
        int, typer.Option(help="Ignore pixels so near a boundary between classes.")
    ] = 0,
    ignore_id: Annotated[
        int | None, typer.Option(help="The id of ignored pixels; default: the dtype's largest.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="uint8, uint16, ...; default: the smallest for all ids.")
    ] = None,
    resolution: Annotated[
        float | None, typer.Option(help="Pixel size in units of --crs, in place of REFERENCE.")
    ] = None,
    crs: Annotated[str | None, typer.Option(help="The CRS of that grid.")] = None,
    manifest: Annotated[
        Table, typer.Option(help="The kind of table of the masks.")
    ] = Table.parquet,
    mode: ModeOption = Mode.error,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Burn features into masks with the pixels of a reference.

    A pixel has the class of the feature over its centre: of several, that of the higher priority, then that later in the file. The report compares burnt area with drawn area, class by class.
    """
    with told_briefly(debug=debug, name="masks"):
        from geoseg.prepare import masks as burn

        report = burn(
            vectors,
            None if reference == "-" else reference,
            out,
            class_by=class_by,
            background=None if background == "none" else class_of(background),
            priority_by=priority_by,
            class_map=None if class_map is None else _ids_of(class_map),
            default_class=None if default_class is None else class_of(default_class),
            dtype=dtype,
            frames=frames,
            frame_id=frame_id,
            duplicate_frames="number" if number_duplicates else "error",
            all_touched=_touched_of(all_touched),
            buffer_m=_metres_of(buffer_m),
            ignore_ring_px=ignore_ring_px,
            ignore_id=ignore_id,
            resolution=resolution,
            crs=crs,
            manifest=manifest.value,
            mode=mode.value,
        )
        found = report.to_dict()
        if not as_json:
            found["classes"] = {str(c["name"] or c["id"]): c for c in found["classes"]}
            found["masks"] = {m["path"]: m for m in found["masks"][:_MANY]} | (
                {"and more": len(report.masks) - _MANY} if len(report.masks) > _MANY else {}
            )
        show_facts(found, as_json=as_json)


def _ids_of(text: str) -> dict[str, int]:
    pairs = pairs_of(text, "--class-map")
    try:
        return {name: int(value) for name, value in pairs.items()}
    except ValueError as error:
        raise ConfigError(f"--class-map {text}: expected ids, as road:1,path:2") from error


def _touched_of(text: str) -> bool | dict[int | str, bool]:
    if text in _EVERYTHING + _NOTHING:
        return text in _EVERYTHING
    found = pairs_of(text, "--all-touched")
    if wrong := [value for value in found.values() if value not in _EVERYTHING + _NOTHING]:
        raise ConfigError(
            f"--all-touched {text}: got {wrong[0]!r}, expected yes or no, or road:yes,path:no"
        )
    return {class_of(name): value in _EVERYTHING for name, value in found.items()}


def _metres_of(text: str) -> float | dict[int | str, float]:
    pairs = pairs_of(text, "--buffer-m") if ":" in text else None
    try:
        return float(text) if pairs is None else {class_of(c): float(m) for c, m in pairs.items()}
    except ValueError as error:
        raise ConfigError(f"--buffer-m {text}: expected metres, or road:2.5,path:1") from error
