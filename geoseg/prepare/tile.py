"""tile: an image and its masks cut into patches, with an index of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

from geoseg.prepare.tiling import table
from geoseg.prepare.tiling.cutting import cut
from geoseg.prepare.tiling.fingerprint import fingerprint_of
from geoseg.prepare.tiling.ids import warn_of_ids
from geoseg.prepare.tiling.inputs import Image, Inputs, Masks, inputs_of, rows_of
from geoseg.prepare.tiling.packing import pack
from geoseg.prepare.tiling.pairs import Output, PairWriter, check_output
from geoseg.prepare.tiling.summary import summary
from geoseg.prepare.tiling.wanted import Wanted, as_ids
from geoseg.prepare.tiling.work import Work, alone, begun, finished, refuse_within, write_note
from geoseg.warn import warn
from geoseg.window import Edge, Size

NOTE = "tile.json"
"""The report, in the folder that is written."""


@dataclass(frozen=True)
class TileReport:
    """What `tile` wrote."""

    out: str
    """The folder."""
    index: str
    """The index of the patches."""
    output: str
    """What kind of files."""
    windows: int
    """Windows that were looked at."""
    written: int
    """Patches."""
    left_out: Mapping[str, int]
    """{reason: windows that were not written}: "min_valid", "min_labelled", "empty", "split: dropped" and
    "excluded"; each counts once, at the first reason in this order, those of the index before all."""
    coverage: float
    """Share of the masks' pixels that lie in some window, before any was left out."""
    valid_share: float
    """Of the patches' pixels, valid in the image."""
    labelled_share: float
    """Of the same, not ignored in the mask."""
    class_counts: Mapping[int, int]
    """{id: pixels} of all patches; what patches share counts in each."""
    splits: Mapping[str, int]
    """{part: patches} where the index has a column `split`."""
    resumed: int = 0
    """Windows that an earlier run had done."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **vars(self),
            "left_out": dict(self.left_out),
            "class_counts": {str(i): n for i, n in self.class_counts.items()},
            "splits": dict(self.splits),
        }


def tile(
    image: Image | Sequence[Image] | None,
    masks: Masks,
    out: str | PathLike[str],
    *,
    patch_size: Size | None = None,
    stride: Size | None = None,
    edge: Edge = "flush",
    output: Output = "geotiff",
    min_valid: float = 0.0,
    min_labelled: float = 0.0,
    empty: Literal["keep", "drop"] | float = "keep",
    background: int | Collection[int] = 0,
    ignore_id: int | None = 255,
    binary: bool = False,
    resampling: str = "auto",
    seed: int = 0,
    index: str = "index.parquet",
    resume: bool = True,
    full_hash: bool = False,
    overwrite: bool = False,
) -> TileReport:
    """Cut an image and its masks into patches on the masks' grids, and write an index of them.

    The folder appears when all is done. A run that was stopped, by `kill -9` too, is taken up by the next
    one with the same inputs and settings, and gives the same bytes. A folder that holds what is wanted
    already is left as it is, unless a file of it is missing or was changed: then all are made anew. Files
    that others laid into it stay. Same inputs and seed: same bytes.

    Outputs:

    - geotiff: `images/NAME.tif` and `masks/NAME.tif`, what is not valid under a mask in the file;
    - png: the same as PNG, with alpha where pixels of the image are not valid, and with a georeference
      beside it; 1 or 3 bands of uint8 or uint16;
    - npy: `images/NAME.npy` (band, height, width) and `masks/NAME.npy` (height, width), for
      `numpy.load(..., mmap_mode="r")`; where pixels are not valid `valid/NAME.npy` tells which;
    - lmdb: a store `patches` with the arrays `image`, `mask` and `valid` of each key, see LMDBSource.

    The index of pairs of files has the written files as `image_path` and `mask_path`, and where they are
    from as `source_mask_path`, `source_row_off` and `source_col_off`. Arrays and stores are no rasters: there
    rows are windows of the masks they are from, and `image_npy`, `mask_npy`, `valid_npy`, or `store` and
    `store_key`, tell where the patch lies. All have `valid_share`, `labelled_share`, `class_counts`, and the
    columns of the index that was given.

    Ids are written as they are. In arrays and stores labels without a valid image are `ignore_id` (or the
    nodata of the mask), and pixels that are not valid NaN in fractions, else 0. Memory: one patch.

    Args:
        image: The image of all masks, or one for each; on any grid, warped as it is read. None: those that the
            index names as `image_path`.
        masks: A mask, several, or a WindowIndex. Rows of an index whose `split` is "dropped", or that are
            `excluded`, are left out.
        out: The folder to make.
        patch_size: Pixels, one number or (height, width); not with an index.
        stride: Pixels from patch to patch, the same way; None: `patch_size`.
        edge: What happens at the last row and column, see `geoseg.window.starts`.
        output: The kind of files.
        min_valid: Least share of a patch's pixels that are valid in the image.
        min_labelled: Least share that is not ignored in the mask.
        empty: What becomes of patches without any class but the background: "keep", "drop", or the share of
            them to keep.
        background: The id of the background, or several.
        ignore_id: A value of masks that is no class; what they declare as nodata never is one.
        binary: Whether all ids above 0 become 1.
        resampling: The kernel for an image on another grid, see WarpedSource.
        seed: For the share of empty patches: another seed, others.
        index: The name of the index, .parquet or .csv.
        resume: False begins anew, whatever an earlier run has done, stopped or not.
        full_hash: Know inputs again by their bytes, where else size and time of change are enough; what was
            made without it counts as made of other inputs.
        overwrite: Whether a folder that `tile` wrote of other inputs or settings may be replaced.

    Raises:
        ConfigError: Arguments are wrong or do not go together, or pixels do not go into such files.
        GeosegError: Images and masks cannot be read, or do not fit.
        StoreError: The folder is there already with something else in it, or cannot be written.

    Warns:
        UserWarning: No patch is left, or patches have no valid pixel, and how many; files of a finished folder
            are missing or were changed; no mask can hold `ignore_id` or an id of `background`.
    """
    check_output(output)
    table.check_name(index)
    settings = Wanted(min_valid, min_labelled, empty, as_ids(background), seed)
    rows = rows_of(masks, patch_size=patch_size, stride=stride, edge=edge)
    inputs = inputs_of(
        image,
        rows,
        given=masks,
        output=output,
        resampling=resampling,
        ignore_id=ignore_id,
        binary=binary,
    )
    told = {**vars(settings), "index": index, "verb": "tile"}
    warn_of_ids(inputs.index.masks, "ignore_id", () if ignore_id is None else (ignore_id,))
    warn_of_ids(inputs.index.masks, "background", settings.background)
    fingerprint = fingerprint_of(inputs, told, full_hash=full_hash)
    with alone(out) as target:
        refuse_within(target, inputs.files)
        found = finished(target, NOTE, fingerprint, resume=resume, overwrite=overwrite)
        if found is None:
            with begun(target, fingerprint, resume=resume) as work:
                resumed = len(work.done)
                found = _made(inputs, work, settings, index=index, fingerprint=fingerprint)
        else:
            resumed = found["windows"]
    report = _report(found, str(out), index, resumed=resumed)
    _warn(report, found["without_image"])
    return report


def _made(
    inputs: Inputs, work: Work, settings: Wanted, *, index: str, fingerprint: str | None
) -> dict[str, Any]:
    """Write everything into the hidden folder, and give it its name."""
    writer = PairWriter.of(work.folder, inputs.output)
    told = f"tile {work.target.name}"
    records = cut(inputs, writer, work, settings.rules(inputs.index), told=told)
    if inputs.output == "lmdb":
        pack(inputs, records, writer)
    table.write_index(inputs, records, writer, index, more={})
    found = summary(inputs, records)
    write_note(work.folder / NOTE, fingerprint, found)
    work.finish(NOTE)
    return found


def _report(found: Mapping[str, Any], out: str, index: str, *, resumed: int) -> TileReport:
    values = {name: value for name, value in found.items() if name != "without_image"}
    counts = {int(i): n for i, n in found["class_counts"].items()}
    return TileReport(
        **{**values, "class_counts": counts},
        out=out,
        index=f"{out}/{index}",
        resumed=resumed,
    )


def _warn(report: TileReport, without_image: int) -> None:
    if not report.written:
        reasons = ", ".join(f"{reason} {count}" for reason, count in report.left_out.items())
        lost = f"no patch is left of {report.windows} windows, left out by reason: {reasons}"
        warn(f"{report.out}: {lost if report.windows else 'there is no window to cut'}")
    if without_image:
        warn(
            f"{report.out}: {without_image} of {report.written} patches have no valid pixel of the image; "
            "min_valid (--min-valid) of 0.01 leaves them out"
        )
