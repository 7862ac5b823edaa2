"""check: everything that can be seen in windows of images and masks before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.prepare.checking.findings import Example, Findings
from geoseg.prepare.checking.kinds import Severity
from geoseg.prepare.checking.labellook import Known
from geoseg.prepare.checking.looked import Looked
from geoseg.prepare.checking.maskshares import mask_shares
from geoseg.prepare.checking.opening import Opened, opened
from geoseg.prepare.checking.origins import origins_of
from geoseg.prepare.checking.pairing import images_of
from geoseg.prepare.checking.repeats import find_repeats
from geoseg.prepare.checking.report import CheckReport
from geoseg.prepare.checking.sample import measure_sample
from geoseg.prepare.checking.scan import Scan, scan, told_pixels
from geoseg.prepare.checking.shares import class_infos, class_shares, find_leakage, part_shares
from geoseg.prepare.checking.written import report_uris, write_report
from geoseg.prepare.onground import ground_size
from geoseg.sampling.windowindex import WindowIndex
from geoseg.sampling.windowindex.columns import IMAGE, MASK, Coordinates
from geoseg.sources.base import RasterSource

_RAGGED = 0.1
"""Teeth for each pixel of boundary, from which it is ragged; half of that all noise."""
_LEAST_EDGES = 50
"""Pixels of boundary, to call it ragged."""


def check(
    index: WindowIndex | str | PathLike[str],
    *,
    classes: ClassMap | Sequence[int] | Sequence[str] | None = None,
    image: RasterSource | str | PathLike[str] | None = None,
    image_column: str = IMAGE,
    ignore_id: int | None = 255,
    buffer_m: float = 0.0,
    shift_windows: int = 64,
    image_windows: int | None = None,
    report: str | PathLike[str] | None = None,
    pictures: int = 12,
    seed: int = 0,
    key: str = MASK,
    coordinates: Coordinates = "auto",
    mask_base_path: str | None = None,
) -> CheckReport:
    """Look over windows of masks and images, and say what is wrong, what is odd, and what to do.

    Files that are missing or damaged and rows that name no window on their mask are findings like all
    others: the check goes on. Labels: values that are no class, the histogram with suggested weights,
    windows without a label, islands of one pixel, ragged boundaries. Images: grids that are not their
    masks', windows without a valid pixel, NaN, one value everywhere. Both: windows of equal pixels, with
    equal labels or others, and on a sample of windows a displacement of labels against the image, and
    whether boundaries lie on edges at all. A split: parts that touch or share pixels, or lack classes.

    Masks are opened one after another and windows read one by one: memory grows by a few hundred bytes a
    window, whatever its size. Patches that tell where they were cut from, in `source_mask_path`, are judged
    together: whether a scene is displaced shows in no single patch.

    Args:
        index: The windows, or the CSV or Parquet file of an index.
        classes: The classes, their ids, or their names in the order of ids from 0; None: every whole number
            from 0 to 255 is one.
        image: One image for all masks, on any grid, or its uri; None: a file a row as `image_column` says;
            without that, masks alone are looked at.
        image_column: Holds files on the grid of their masks.
        ignore_id: A value of masks that is no class, beside what they declare as nodata.
        buffer_m: Metres of ground that must lie between windows of two parts; 0: they may touch.
        shift_windows: Windows on which labels are compared with edges of the image; 0: none.
        image_windows: Windows whose image is read, chosen at random; None: all.
        report: Where to write the report: a folder for check.json and check.html, or the .html itself with the
            JSON beside it; None: nowhere.
        pictures: Bad windows that the page shows; half as many others beside them.
        seed: Chooses windows of samples.
        key: The column of masks.
        coordinates: Which columns tell the windows, see WindowIndex.read.
        mask_base_path: A folder for relative paths; None: the index's.

    Raises:
        SourceError: The file of the index cannot be read.
        ConfigError: An argument is wrong, or columns do not tell masks and windows.
        StoreError: The report cannot be written.
    """
    _check_numbers(shift_windows=shift_windows, image_windows=image_windows, pictures=pictures)
    named = _named(classes)
    ignored = [i for i in (ignore_id, getattr(classes, "ignore_id", None)) if i is not None]
    ids = named.ids if isinstance(named, ClassMap) else named
    known = Known(ids, tuple(dict.fromkeys(ignored)))
    uris = None if report is None else report_uris(report)
    found = Findings()
    looked = opened(index, found, key=key, coordinates=coordinates, mask_base_path=mask_base_path)
    images = images_of(looked.index, image, image_column)
    origins = origins_of(looked)
    if not looked.total:
        found.add("no-windows", Example(looked.index.uri, detail="it has no rows"))
    chosen = _chosen(len(looked.index), image_windows, seed)
    scanned = scan(looked, images, known, found, image_rows=chosen)
    _tell_windows(looked, scanned, found)
    _tell_ground(looked, found)
    find_repeats(looked, scanned, found)
    find_leakage(looked, found, buffer_m=buffer_m)
    counts = scanned.counts
    infos = class_infos(named, counts)
    shares = class_shares(infos, counts, found)
    parts = part_shares(looked, counts, infos, found)
    edges = None
    if images.there and shift_windows:
        edges = measure_sample(
            looked,
            images,
            scanned,
            known,
            found,
            origins=origins,
            windows=shift_windows,
            seed=seed,
        )
    findings = found.all()
    made = CheckReport(
        uri=looked.index.uri,
        rows=looked.total,
        windows=int(scanned.read.sum()),
        images=int(scanned.seen.sum()),
        findings=findings,
        classes=shares,
        masks=mask_shares(looked, scanned, images, origins, findings),
        parts=parts,
        edges=edges,
        settings=_settings(
            known,
            ignore_id=ignore_id,
            buffer_m=buffer_m,
            shift_windows=shift_windows,
            image_windows=image_windows,
            seed=seed,
        ),
    )
    if uris is None:
        return made
    made = replace(made, json_uri=uris[0], html_uri=uris[1])
    subject = Looked(looked, images, scanned, known, infos)
    write_report(made, subject, pictures=pictures, seed=seed)
    return made


def _check_numbers(**given: int | None) -> None:
    for name, value in given.items():
        if value is not None and value < 0:
            raise ConfigError(f"{name} is {value}, expected a number of windows from 0")


def _named(
    classes: ClassMap | Sequence[int] | Sequence[str] | None,
) -> ClassMap | tuple[int, ...] | None:
    """Names become a class map."""
    if isinstance(classes, str | bytes):
        raise ConfigError(f"classes is {classes!r}, expected a ClassMap, ids, or names in a list")
    if classes is None or isinstance(classes, ClassMap):
        return classes
    listed: list[Any] = list(classes)
    if listed and all(isinstance(name, str) for name in listed):
        return ClassMap.of(*(str(name) for name in listed))
    wrong = [i for i in listed if isinstance(i, str) or i != int(i) or not 0 <= i <= 255]  # noqa: PLR2004
    if wrong or not listed:
        raise ConfigError(
            f"classes is {listed!r}, expected ids from 0 to 255, or names, at least one"
        )
    return tuple(int(i) for i in listed)


def _chosen(count: int, most: int | None, seed: int) -> NDArray[np.bool_]:
    """(window,) whose images are read."""
    if most is None or most >= count:
        return np.ones(count, np.bool_)
    chosen = np.zeros(count, np.bool_)
    chosen[np.random.default_rng((seed, 2)).permutation(count)[:most]] = True
    return chosen


def _tell_windows(looked: Opened, scanned: Scan, found: Findings) -> None:
    """What the numbers of single windows say."""
    index = looked.index
    boxes = index.boxes
    shapes = np.array([index.grid_of(mask).shape for mask in index.mask_paths]).reshape(-1, 2)
    past = ((boxes[:, :2] < 0) | (boxes[:, :2] + boxes[:, 2:] > shapes)).any(axis=1)
    severity: Severity = "note" if looked.outside == "pad" else "error"
    ragged = scanned.teeth >= _RAGGED * np.maximum(scanned.edges, _LEAST_EDGES)
    kinds = (
        ("past-mask", past, severity),
        ("all-ignored", scanned.read & (scanned.labelled == 0), None),
        ("islands", scanned.islands > 0, None),
        ("ragged", ragged, None),
    )
    for code, flags, other in kinds:
        for row in np.flatnonzero(flags).tolist():
            detail = {
                "past-mask": f"the mask has {shapes[row][0]} x {shapes[row][1]} px",
                "all-ignored": "every pixel is ignored or nodata",
                "islands": told_pixels(int(scanned.islands[row])),
                "ragged": f"{scanned.teeth[row]} teeth on {scanned.edges[row]} px of boundary",
            }[code]
            place = index.mask_paths[row], int(looked.rows[row]), index.windows[row]
            found.add(code, Example(*place, detail), severity=other)


def _tell_ground(looked: Opened, found: Findings) -> None:
    for mask in looked.index.masks:
        size = ground_size(looked.index.grid_of(mask))
        if size is not None and size.note is not None:
            found.add("ground-size", Example(mask, detail=size.note))


def _settings(
    known: Known,
    *,
    ignore_id: int | None,
    buffer_m: float,
    shift_windows: int,
    image_windows: int | None,
    seed: int,
) -> dict[str, Any]:
    return {
        "classes": None if known.ids is None else list(known.ids),
        "ignore_id": ignore_id,
        "buffer_m": buffer_m,
        "shift_windows": shift_windows,
        "image_windows": image_windows,
        "seed": seed,
    }
