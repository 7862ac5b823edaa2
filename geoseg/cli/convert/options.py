"""What the commands of all layouts are told."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class OnError(StrEnum):
    """What happens where a patch cannot be read."""

    stop = "stop"
    skip = "skip"


TargetDir = Annotated[
    str | None, typer.Option("--target-dir", metavar="DIR", help="The store to make, a folder.")
]
NumWorkers = Annotated[
    int | None,
    typer.Option(
        "--num-workers", help="Processes that read; left out: more than one where they pay."
    ),
]
OnErrorOption = Annotated[
    OnError,
    typer.Option(
        help="A patch that cannot be read ends the run, or is left out and listed in DIR.skipped.csv."
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on after a stop or a kill; what has changed is done again."),
]
Append = Annotated[
    bool, typer.Option("--append", help="Add patches to a store that is there already.")
]
RicoIdentical = Annotated[
    bool, typer.Option("--rico-identical", help="Make data.mdb the same bytes as rico-hdl does.")
]
EmbedGeo = Annotated[
    bool,
    typer.Option(
        "--embed-geo",
        help="Write CRS and transform into the values too, not into the manifest alone.",
    ),
]
Zstd = Annotated[
    bool,
    typer.Option("--zstd", help="Compress the values; geoseg reads them, plain safetensors not."),
]
Shard = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Only part I (from 0) of N of the patches."),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="A table of pairing, split and labels (Parquet or CSV), such as BigEarthNet's metadata.parquet. May be "
        "given several times.",
    ),
]
CloudMask = Annotated[
    bool, typer.Option("--cloud-mask", help="Take the cloud mask too, as the array cloud_mask.")
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Only list patches with files that are missing or empty; exit code 1 if there are any. Nothing is "
        "written, so that options of writing may not stand beside it; --target-dir may, and is not looked in.",
    ),
]
