"""Which windows the page shows: some of each finding, and some that are typical."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

import numpy as np

from geoseg.page.html import Html, picture
from geoseg.prepare.checking.findings import Example, Finding
from geoseg.prepare.checking.looked import Looked
from geoseg.prepare.checking.quicklook import quicklook
from geoseg.prepare.checking.scan import FAILURES


def bad_windows(findings: Sequence[Finding], looked: Looked, *, most: int) -> list[Html]:
    """Pictures of windows with findings: the first of each kind, then the second, and so on.

    A window that cannot be read has none.
    """
    place = {row: number for number, row in enumerate(looked.opened.rows.tolist())}
    found: list[Html] = []
    for finding, example in _by_turns(findings):
        if len(found) >= most:
            break
        number = place.get(-1 if example.row is None else example.row)
        if number is not None and example.window is not None:
            told = f"{finding.severity}: {finding.title}. {example.detail}"
            found += _figure(looked, number, told)
    return found


def typical_windows(
    findings: Sequence[Finding], looked: Looked, *, most: int, seed: int
) -> list[Html]:
    """Pictures of windows without an error or warning, those with several classes first."""
    bad = {row for f in findings if f.severity != "note" for row in f.rows}
    fine = [
        n
        for n, row in enumerate(looked.opened.rows.tolist())
        if row not in bad and looked.scan.read[n]
    ]
    order = np.random.default_rng((seed, 3)).permutation(len(fine))
    shuffled = sorted((fine[i] for i in order), key=lambda n: not looked.scan.edges[n])
    found: list[Html] = []
    for number in shuffled[:most]:
        found += _figure(looked, number, "")
    return found


def _by_turns(findings: Sequence[Finding]) -> Iterator[tuple[Finding, Example]]:
    longest = max((len(finding.examples) for finding in findings), default=0)
    for place in range(longest):
        for finding in findings:
            if place < len(finding.examples):
                yield finding, finding.examples[place]


def _figure(looked: Looked, number: int, told: str) -> list[Html]:
    try:
        look = quicklook(looked, number)
    except FAILURES:  # told as a finding already
        return []
    opened = looked.opened
    w = opened.index.windows[number]
    name = PurePath(opened.index.mask_paths[number]).name
    place = f"{name}, row {opened.rows[number]} of the index, {w.height} x {w.width} px at row {w.row}, column {w.col}"
    shown = (
        "the image with boundaries of labels, and the labels" if look.has_image else "the labels"
    )
    caption = f"{told} ({place})" if told else place
    return [picture(look.png, alt=f"{shown} of {place}", caption=caption, size=look.size)]
