"""export: image and mask as aligned pairs of files, with previews and a report of how they lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from geoseg.prepare.tiling import table
from geoseg.prepare.tiling.alignment import PairAlignment, alignments
from geoseg.prepare.tiling.cutting import Rules, cut
from geoseg.prepare.tiling.fingerprint import fingerprint_of
from geoseg.prepare.tiling.ids import warn_of_ids
from geoseg.prepare.tiling.inputs import Image, Inputs, Masks, inputs_of, rows_of
from geoseg.prepare.tiling.pairs import PairWriter
from geoseg.prepare.tiling.pixels import Part
from geoseg.prepare.tiling.previews import PREVIEWS, previewed
from geoseg.prepare.tiling.summary import summary
from geoseg.prepare.tiling.wanted import left_out
from geoseg.prepare.tiling.work import Work, alone, begun, finished, refuse_within, write_note
from geoseg.warn import warn
from geoseg.window import Edge, Size

NOTE = "export.json"
"""The report, in the folder that is written."""


@dataclass(frozen=True)
class ExportReport:
    """What `export` wrote, and how image and masks lie on each other."""

    out: str
    """The folder."""
    index: str
    """The manifest, which is a window index."""
    windows: int
    """Windows that were looked at."""
    written: int
    """Pairs."""
    left_out: Mapping[str, int]
    """{reason: rows of the index that were not written}: "split: dropped" and "excluded"."""
    coverage: float
    """Share of the masks' pixels that lie in some window."""
    valid_share: float
    """Of the pairs' pixels, valid in the image."""
    labelled_share: float
    """Of the same, not ignored in the mask."""
    class_counts: Mapping[int, int]
    """{id: pixels} of all pairs."""
    splits: Mapping[str, int]
    """{part: pairs} where the index has a column `split`."""
    alignments: tuple[PairAlignment, ...]
    """One for each mask and its image."""
    resumed: int = 0
    """Windows that an earlier run had done."""

    @property
    def grids_equal(self) -> bool:
        """Whether all files read back on the grids of their windows."""
        return all(one.grids_equal for one in self.alignments)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **vars(self),
            "left_out": dict(self.left_out),
            "class_counts": {str(i): n for i, n in self.class_counts.items()},
            "splits": dict(self.splits),
            "alignments": [one.to_dict() for one in self.alignments],
        }


def export(
    image: Image | Sequence[Image] | None,
    masks: Masks,
    out: str | PathLike[str],
    *,
    full_mask: bool = False,
    patch_size: Size | None = None,
    stride: Size | None = None,
    edge: Edge = "flush",
    binary: bool = False,
    previews: bool = True,
    measure: bool = True,
    ignore_id: int | None = 255,
    resampling: str = "auto",
    index: str = "index.parquet",
    resume: bool = True,
    full_hash: bool = False,
    overwrite: bool = False,
) -> ExportReport:
    """Write image and masks as pairs of GeoTIFFs that lie pixel on pixel, with a manifest.

    `images/NAME.tif` is the image on the mask's grid, `masks/NAME.tif` the mask with the ids that it has,
    `previews/NAME.png` both, the classes drawn over the image. What is not valid in the image (nodata,
    alpha, outside) is under a mask in the file. NAME is the mask's stem, with the folders before it where
    stems are equal, and `__r000512_c001024` where a window begins.

    The manifest is a WindowIndex: `image_path` and `mask_path` are the written files, the windows are all of
    them, and `source_mask_path`, `source_row_off`, `source_col_off` tell where they are from. A data set over
    it gives the samples that one over the sources gives.

    The folder appears when all is done, is taken up again where a run was stopped, and made anew where
    files of it are missing or were changed, as of `tile`. Memory:
    16 MB of pixels or one row of 256 of the mask.

    Args:
        image: The image of all masks, or one for each; on any grid, warped as it is read. None: those that the
            index names as `image_path`.
        masks: A mask, several, or a WindowIndex.
        out: The folder to make.
        full_mask: Whether masks are written whole.
        patch_size: Pixels, one number or (height, width); not with an index or `full_mask`.
        stride: Pixels from patch to patch, the same way; None: `patch_size`.
        edge: What happens at the last row and column, see `geoseg.window.starts`.
        binary: Whether all ids above 0 become 1.
        previews: Whether to draw pictures.
        measure: Whether to measure the shift between the edges of image and mask, see `measure_shift`.
        ignore_id: A value of masks that is no class; what they declare as nodata never is one.
        resampling: The kernel for an image on another grid, see WarpedSource.
        index: The name of the manifest, .parquet or .csv.
        resume: False begins anew, whatever an earlier run has done, stopped or not.
        full_hash: Know inputs again by their bytes, where else size and time of change are enough; what was
            made without it counts as made of other inputs.
        overwrite: Whether a folder that `export` wrote of other inputs or settings may be replaced.

    Raises:
        ConfigError: Arguments are wrong or do not go together.
        GeosegError: Images and masks cannot be read, or do not fit.
        StoreError: The folder is there already with something else in it, or cannot be written.

    Warns:
        UserWarning: Masks have no valid pixel of the image, and how many; files of a finished folder are
            missing or were changed; no mask can hold `ignore_id`.
    """
    table.check_name(index)
    rows = rows_of(masks, patch_size=patch_size, stride=stride, edge=edge, full_mask=full_mask)
    inputs = inputs_of(
        image,
        rows,
        given=masks,
        full_mask=full_mask,
        output="geotiff",
        resampling=resampling,
        ignore_id=ignore_id,
        binary=binary,
    )
    warn_of_ids(inputs.index.masks, "ignore_id", () if ignore_id is None else (ignore_id,))
    wanted = _Wanted(index=index, previews=previews, measure=measure)
    fingerprint = fingerprint_of(inputs, {**vars(wanted), "verb": "export"}, full_hash=full_hash)
    with alone(out) as target:
        refuse_within(target, inputs.files)
        found = finished(target, NOTE, fingerprint, resume=resume, overwrite=overwrite)
        if found is None:
            with begun(target, fingerprint, resume=resume) as work:
                resumed = len(work.done)
                found = _made(inputs, work, wanted, fingerprint=fingerprint)
        else:
            resumed = found["windows"]
    report = _report(found, str(out), index, resumed=resumed)
    _warn(report)
    return report


@dataclass(frozen=True)
class _Wanted:
    """What is written beside pairs."""

    index: str
    previews: bool
    measure: bool


def _made(
    inputs: Inputs, work: Work, wanted: _Wanted, *, fingerprint: str | None
) -> dict[str, Any]:
    """Write everything into the hidden folder, and give it its name."""
    writer = PairWriter.of(work.folder, "geotiff")
    if wanted.previews:
        (work.folder / PREVIEWS).mkdir(exist_ok=True)

    def watch(row: int, parts: Iterable[Part]) -> Iterable[Part]:
        path = work.folder / PREVIEWS / f"{inputs.names[row]}.png"
        return previewed(parts, inputs.pair(row), inputs.index.windows[row], path)

    rules = Rules(left_out(inputs.index), None, watch=watch if wanted.previews else None)
    records = cut(inputs, writer, work, rules, told=f"export {work.target.name}")
    names = [inputs.names[record.number] for record in records if record.left is None]
    more = {"preview_path": [f"{PREVIEWS}/{n}.png" for n in names]} if wanted.previews else {}
    table.write_index(inputs, records, writer, wanted.index, more=more)
    found = summary(inputs, records)
    lying = alignments(inputs, records, writer, measure=wanted.measure)
    found["alignments"] = [one.to_dict() for one in lying]
    write_note(work.folder / NOTE, fingerprint, found)
    work.finish(NOTE)
    return found


def _report(found: Mapping[str, Any], out: str, index: str, *, resumed: int) -> ExportReport:
    values = {k: v for k, v in found.items() if k not in ("without_image", "output")}
    values["class_counts"] = {int(i): n for i, n in found["class_counts"].items()}
    values["alignments"] = tuple(map(PairAlignment.from_dict, found["alignments"]))
    return ExportReport(**values, out=out, index=f"{out}/{index}", resumed=resumed)


def _warn(report: ExportReport) -> None:
    bare = [one.mask for one in report.alignments if one.windows and not one.valid_share]
    if bare:
        warn(
            f"{report.out}: {len(bare)} of {len(report.alignments)} masks have no valid pixel of their image, "
            f"the first is {bare[0]}; is it the right image, and the CRS of both right?"
        )
    apart = [one for one in report.alignments if not one.grids_equal]
    if apart:
        warn(
            f"{report.out}: files of {len(apart)} masks do not read back on the grid of their mask, the first "
            f"is {apart[0].mask}: GeoTIFF cannot tell its CRS or transform"
        )
