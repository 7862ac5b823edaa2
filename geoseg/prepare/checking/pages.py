"""The report of a check as one page of HTML, with pictures of windows in it."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.classes import ClassInfo
from geoseg.page.html import (
    Html,
    Part,
    element,
    folded,
    items,
    joined,
    page,
    section,
    swatch,
    table,
)
from geoseg.page.style import CSS
from geoseg.prepare.checking.findings import Example, Finding
from geoseg.prepare.checking.gallery import bad_windows, typical_windows
from geoseg.prepare.checking.kinds import SEVERITIES
from geoseg.prepare.checking.looked import Looked
from geoseg.prepare.checking.maskshares import worst_first
from geoseg.prepare.checking.report import CheckReport
from geoseg.prepare.checking.sample import ShiftSample
from geoseg.prepare.checking.shares import RULES

_CSS = """
.badge { display: inline-block; padding: 0 0.55rem; border-radius: 0.8rem; font-size: 0.85rem; color: #ffffff; }
.error { background: #b3261e; } .warning { background: #8a5300; } .note { background: #4a5560; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 9rem), 1fr)); }
@media (min-width: 48rem) { .facts { grid-template-columns: repeat(4, 1fr); } }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 0 1.25rem; }
.gallery figure img { min-width: 0; width: 100%; image-rendering: pixelated; }
"""
_MASKS = 50
"""Rows of a table of files: the most important come first, check.json lists all."""


def page_of(
    report: CheckReport,
    looked: Looked,
    *,
    pictures: int,
    seed: int,
) -> str:
    """The page as text; it reads the windows that it shows."""

    def gallery(shown: Sequence[Html]) -> Sequence[Part]:
        return [element("div", *shown, at={"class": "gallery"})] if shown else []

    bad = bad_windows(report.findings, looked, most=pictures)
    good = typical_windows(report.findings, looked, most=-(-pictures // 2), seed=seed)
    sections: list[tuple[str, str, Sequence[Part]]] = [
        ("findings", "Findings", _findings(report)),
        ("bad", "Windows with findings", gallery(bad)),
        ("classes", "Classes", _classes(report, looked.infos)),
        ("edges", "Labels against the image", _edges(report)),
        ("parts", "Parts of the split", _parts(report)),
        ("typical", "Other windows", gallery(good)),
        ("masks", "Masks", _masks(report)),
        ("settings", "Settings", _settings(report)),
    ]
    sections = [(name, title, parts) for name, title, parts in sections if parts]
    body = [_lead(report), *(section(name, title, *parts) for name, title, parts in sections)]
    contents = [(name, title) for name, title, _ in sections]
    return page("Check of training data", contents, body, CSS + _CSS)


def _lead(report: CheckReport) -> Html:
    """The most important numbers."""
    numbers = [
        ("ok", "nothing stands against training")
        if report.ok
        else ("not ok", "mend the errors first")
    ]
    for severity in SEVERITIES:
        count = report.count(severity)
        numbers.append((str(count), severity if count == 1 else f"{severity}s"))
    numbers += [
        (f"{report.windows:,}", f"windows looked at, of {report.rows:,} rows"),
        (f"{report.images:,}", "with their image"),
        (f"{len(report.masks):,}", "masks"),
    ]
    cards = [
        element("li", element("strong", value), element("span", name)) for value, name in numbers
    ]
    return element("ul", *cards, at={"class": "facts"})


def _findings(report: CheckReport) -> Sequence[Part]:
    if not report.findings:
        return [element("p", "Nothing was found.")]
    rows: list[list[Part]] = [
        [
            joined([_badge(finding.severity), " ", finding.title]),
            finding.how_many,
            finding.cure,
        ]
        for finding in report.findings
    ]
    parts: list[Part] = [table("What was found", ["finding", "how many", "what to do"], rows)]
    for finding in report.findings:
        shown = [_example(example) for example in finding.examples]
        more = "" if finding.count <= len(shown) else f", {len(shown)} of them listed"
        if shown:
            title = f"{finding.title}: {finding.how_many}{more}"
            tables = [
                table(finding.code, ["where", "row", "window", "what"], shown),
                *_files(finding),
            ]
            parts.append(folded(title, *tables))
    return parts


def _files(finding: Finding) -> list[Html]:
    """How many places each file has, where examples do not tell all."""
    if len(finding.files) < 2 or finding.count <= len(finding.examples):  # noqa: PLR2004
        return []
    rows: list[list[Part]] = [
        [element("span", file, at={"class": "path"}), f"{count:,}"]
        for file, count in list(finding.files.items())[:_MASKS]
    ]
    return [table("By file", ["file", "places"], rows, numbers=(1,))]


def _badge(severity: str) -> Html:
    return element("span", severity, at={"class": f"badge {severity}"})


def _example(example: Example) -> list[Part]:
    w = example.window
    where = "" if w is None else f"row {w.row}, column {w.col}, {w.height} x {w.width} px"
    row = "" if example.row is None else str(example.row)
    return [element("span", example.file or "", at={"class": "path"}), row, where, example.detail]


def _classes(report: CheckReport, infos: Sequence[ClassInfo]) -> Sequence[Part]:
    if not report.classes:
        return []
    colors = {info.id: info.color for info in infos}
    rows: list[list[Part]] = []
    for share in report.classes:
        weights = [f"{share.weights[rule]:.3g}" if share.weights else "" for rule in RULES]
        name = joined([swatch(colors[share.id]), share.name])
        numbers = [str(share.id), f"{share.pixels:,}", f"{share.share:.3%}", f"{share.windows:,}"]
        rows.append([name, *numbers, *weights])
    head = ["class", "id", "pixels", "share", "windows", *(f"weight: {rule}" for rule in RULES)]
    text = (
        "Pixels count in every window that holds them. Weights have a mean of 1 over the classes that occur; "
        'the names are those of class_weights in a training ("median": median frequency balancing, '
        '"effective": effective number of samples).'
    )
    caption = f"{sum(share.pixels for share in report.classes):,} labelled pixels"
    return [table(caption, head, rows, numbers=range(1, len(head))), element("p", text)]


def _edges(report: CheckReport) -> Sequence[Part]:
    if report.edges is None:
        return []
    found = report.edges
    rows = [["all windows of the sample", *_shift_cells(found.shift)]]
    farthest = sorted(found.by_mask.items(), key=lambda item: -item[1].distance)[:_MASKS]
    rows += [[mask, *_shift_cells(shift)] for mask, shift in farthest]
    head = ["where", "rows (down)", "columns (right)", "spread", "agree", "measured", "looked at"]
    caption = "Displacement of the labels against edges of the image, in pixels: medians"
    more = len(found.by_mask) - len(farthest)
    caption += f"; {more:,} more masks are less displaced" if more else ""
    parts: list[Part] = [table(caption, head, rows, numbers=range(1, 7))]
    if found.shift.reason is not None:
        parts = [element("p", f"No displacement of all windows can be told: {found.shift.reason}.")]
        parts += [table(caption, head, rows, numbers=range(1, 7))] if found.shift.tried else []
    if found.boundaries is not None:
        near = found.boundaries
        text = (
            f"Of {near.boundary:,} pixels beside boundaries of labels, {near.share:.0%} lie within a pixel of a "
            f"strong edge of the image; by chance it would be {near.chance:.0%} ({near.ratio:.2f} times chance)."
        )
        parts.append(element("p", text))
    return parts


def _shift_cells(shift: ShiftSample) -> list[str]:
    if shift.row is None or shift.col is None:
        numbers = ["not clear", "not clear"]
    else:
        numbers = [f"{shift.row:+.2f}", f"{shift.col:+.2f}"]
    spread = "" if shift.spread is None else f"{shift.spread:.2f}"
    return [*numbers, spread, str(shift.agree), str(shift.measured), str(shift.tried)]


def _parts(report: CheckReport) -> Sequence[Part]:
    if not report.parts:
        return []
    names = {share.id: share.name for share in report.classes}
    ids = list(next(iter(report.parts.values())).pixels)
    rows: list[list[Part]] = []
    for name, part in report.parts.items():
        total = max(sum(part.pixels.values()), 1)
        rows.append([name, f"{part.windows:,}", *(f"{part.pixels[i] / total:.2%}" for i in ids)])
    head = ["part", "windows", *(names[i] for i in ids)]
    return [table("Windows and shares of classes", head, rows, numbers=range(1, len(head)))]


def _masks(report: CheckReport) -> Sequence[Part]:
    listed = worst_first(report.masks, report.findings)[:_MASKS]
    rows: list[list[Part]] = [
        [
            element("span", mask, at={"class": "path"}),
            f"{share.windows:,}",
            f"{share.flagged:,}",
            f"{share.labelled_share:.1%}",
            "" if share.valid_share is None else f"{share.valid_share:.1%}",
            share.told,
        ]
        for mask, share in listed
    ]
    if not rows:
        return []
    caption = f"{len(report.masks):,} {'mask' if len(report.masks) == 1 else 'masks'}"
    files = sum(share.files for share in report.masks.values())
    if files > len(report.masks):
        caption += f", cut into {files:,} patches"
    if len(report.masks) > len(listed):
        caption += f"; the {len(listed)} with the most findings and the fewest labels are listed"
    head = ["mask", "windows", "with findings", "labelled", "image valid", "grid"]
    return [table(caption, head, rows, numbers=range(1, 5))]


def _settings(report: CheckReport) -> Sequence[Part]:
    told = [f"index: {report.uri or 'in memory'}"]
    told += [f"{name}: {value}" for name, value in report.settings.items()]
    return [items(told)]
