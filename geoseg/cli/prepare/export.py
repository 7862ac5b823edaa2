"""geoseg prepare export: aligned pairs of image and mask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from geoseg.prepare.correlate import Shift
    from geoseg.prepare.tiling.alignment import PairAlignment


def export(
    image: Image,
    masks: Masks,
    out: Out,
    *,
    full_mask: Annotated[
        bool, typer.Option("--full-mask", help="Write masks whole, not as patches.")
    ] = False,
    patch_size: PatchSize = None,
    stride: Stride = None,
    edge: EdgeOption = EdgeKind.flush,
    binary: Binary = False,
    previews: Annotated[bool, typer.Option(help="Draw pictures of image and mask.")] = True,
    measure: Annotated[
        bool, typer.Option(help="Measure the shift between edges of image and mask.")
    ] = True,
    ignore_id: IgnoreId = 255,
    resampling: Resampling = "auto",
    index: IndexName = "index.parquet",
    fresh: Fresh = False,
    full_hash: FullHash = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write pairs of image and mask that lie pixel on pixel, with an index of windows.

    OUT gets images/, masks/, previews/ and the index. A run that was stopped is taken up again.
    """
    with told_briefly(debug=debug, name="export", stopped="run it again to go on"):
        from geoseg.prepare import export as write
        from geoseg.prepare.pipeline.given import masks_of

        report = write(
            image_of(image),
            masks_of(masks),
            out,
            full_mask=full_mask,
            patch_size=patch_size,
            stride=stride,
            edge=edge.value,
            binary=binary,
            previews=previews,
            measure=measure,
            ignore_id=ignore_id,
            resampling=resampling,
            index=index,
            resume=not fresh,
            full_hash=full_hash,
            overwrite=overwrite,
        )
        found = report.to_dict()
        if not as_json:
            found["alignments"] = _rows(report.alignments)
        show_facts(found, as_json=as_json)


def _rows(alignments: Iterable[PairAlignment]) -> dict[str, str]:
    """{mask: how its image lies, in a line}."""
    found: dict[str, str] = {}
    for one in alignments:
        facts = (
            f"image {one.image}",
            f"pairs {one.windows}",
            f"grids {'equal' if one.grids_equal else 'NOT equal'}",
            f"resampling {one.resampling}",
            f"ratio {one.ratio:.4g}",
            f"valid {one.valid_share:.4g}",
            _shift(one.shift),
        )
        again = f"{one.mask} ({one.image})"  # a mask may have several images
        found[again if one.mask in found else one.mask] = ", ".join(facts)
    return found


def _shift(shift: Shift | None) -> str:
    if shift is None:
        return "shift not asked for"
    if not shift.measured:
        return f"shift not measured: {shift.reason}"
    return (
        f"shift {shift.row:+.2f} rows {shift.col:+.2f} columns, confidence {shift.confidence:.2f}"
    )
