"""geoseg prepare tile: patches to train on."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import typer

from geoseg.cli.facts import show_facts
from geoseg.cli.options import AsJson, Debug
from geoseg.cli.prepare.cut import (
    Binary,
    EdgeKind,
    EdgeOption,
    Fresh,
    FullHash,
    IgnoreId,
    Image,
    IndexName,
    Masks,
    Out,
    Overwrite,
    PatchSize,
    Resampling,
    Stride,
    image_of,
)
from geoseg.cli.told import told_briefly
from geoseg.errors import ConfigError


class Kind(StrEnum):
    """What patches are written as."""

    geotiff = "geotiff"
    png = "png"
    npy = "npy"
    lmdb = "lmdb"


def tile(
    image: Image,
    masks: Masks,
    out: Out,
    *,
    patch_size: PatchSize = None,
    stride: Stride = None,
    edge: EdgeOption = EdgeKind.flush,
    output: Annotated[
        Kind, typer.Option(help="Files of pairs, arrays, or one store of all patches.")
    ] = Kind.geotiff,
    min_valid: Annotated[
        float, typer.Option(help="Least share of a patch's pixels that the image has.")
    ] = 0,
    min_labelled: Annotated[
        float, typer.Option(help="Least share of a patch's pixels that have a class.")
    ] = 0,
    empty: Annotated[
        str,
        typer.Option(
            metavar="keep|drop|SHARE", help="What becomes of patches that are all background."
        ),
    ] = "keep",
    background: Annotated[int, typer.Option(help="The id of the background.")] = 0,
    ignore_id: IgnoreId = 255,
    binary: Binary = False,
    resampling: Resampling = "auto",
    seed: Annotated[int, typer.Option(help="Chooses the empty patches that are kept.")] = 0,
    index: IndexName = "index.parquet",
    fresh: Fresh = False,
    full_hash: FullHash = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Cut an image and its masks into patches, with an index of them.

    What is left out is counted by reason. A run that was stopped is taken up again and gives the same bytes.
    """
    with told_briefly(debug=debug, name="tile", stopped="run it again to go on"):
        from geoseg.prepare import tile as cut
        from geoseg.prepare.pipeline.given import masks_of

        report = cut(
            image_of(image),
            masks_of(masks),
            out,
            patch_size=patch_size,
            stride=stride,
            edge=edge.value,
            output=output.value,
            min_valid=min_valid,
            min_labelled=min_labelled,
            empty=_empty_of(empty),
            background=background,
            ignore_id=ignore_id,
            binary=binary,
            resampling=resampling,
            seed=seed,
            index=index,
            resume=not fresh,
            full_hash=full_hash,
            overwrite=overwrite,
        )
        show_facts(report.to_dict(), as_json=as_json)


def _empty_of(text: str) -> Literal["keep", "drop"] | float:
    if text == "keep":
        return "keep"
    if text == "drop":
        return "drop"
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"--empty {text}: expected keep, drop, or a share as 0.1") from error
