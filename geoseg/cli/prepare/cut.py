"""What `prepare export` and `prepare tile` are both told."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class EdgeKind(StrEnum):
    """What happens at the last row and column."""

    flush = "flush"
    pad = "pad"
    drop = "drop"


Image = Annotated[
    str,
    typer.Argument(
        metavar="IMAGE", help="A raster or .mbtiles on any grid; - for those that the index names."
    ),
]
Masks = Annotated[
    str,
    typer.Argument(
        metavar="MASKS", help="A mask, a folder of them, or an index of windows (.csv, .parquet)."
    ),
]
Out = Annotated[str, typer.Argument(metavar="OUT", help="The folder to make.")]
PatchSize = Annotated[int | None, typer.Option(help="Pixels of a patch's side.")]
Stride = Annotated[
    int | None, typer.Option(help="Pixels from patch to patch; default: the patch size.")
]
EdgeOption = Annotated[
    EdgeKind,
    typer.Option(
        help="At the edge of a mask: the last patch ends there, reaches past it, or is left out."
    ),
]
Binary = Annotated[bool, typer.Option("--binary", help="Make all ids above 0 a 1.")]
IgnoreId = Annotated[
    int, typer.Option(help="A value of masks that is no class, beside their nodata.")
]
Resampling = Annotated[str, typer.Option(help="The kernel for an image on another grid.")]
IndexName = Annotated[
    str, typer.Option("--index", help="The name of the index in OUT, .parquet or .csv.")
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace what an earlier run wrote with other settings."),
]


FullHash = Annotated[
    bool,
    typer.Option(
        "--full-hash",
        help="Know inputs by a digest of their bytes, not by size and time of change.",
    ),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Begin anew, whatever an earlier run has done.")
]


def image_of(text: str) -> str | None:
    """The image; None for `-`."""
    return None if text == "-" else text
