"""Small builders of HTML: every text is escaped on its way in."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from geoseg.classes import Color


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that is whole; plain text is str."""

    markup: str


Part = Html | str
"""What may stand in an element: text is escaped, markup is not."""

_VOID = ("img", "meta")
"""Elements without an end."""


def element(name: str, *parts: Part, at: Mapping[str, str] | None = None) -> Html:
    """An element.

    Args:
        name: Of the element.
        parts: What stands in it.
        at: Its attributes.

    >>> element("p", "1 < 2", at={"title": 'a "word"'}).markup
    '<p title="a &quot;word&quot;">1 &lt; 2</p>'
    """
    attributes = "".join(f' {key}="{escape(value)}"' for key, value in (at or {}).items())
    end = "" if name in _VOID else f"</{name}>"
    return Html(f"<{name}{attributes}>{joined(parts).markup}{end}")


def joined(parts: Iterable[Part]) -> Html:
    """Several parts one after another."""
    return Html("".join(p.markup if isinstance(p, Html) else escape(p) for p in parts))


def section(name: str, title: str, *parts: Part) -> Html:
    """A part of the page with a heading, which links may name."""
    return element("section", element("h2", title, at={"id": name}), *parts)


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[Part]],
    *,
    numbers: Iterable[int] = (),
) -> Html:
    """A table whose first column names the rows; on a narrow page it scrolls by itself.

    Args:
        caption: What it shows.
        head: Names of the columns.
        rows: Cells; each as many as `head`.
        numbers: Columns that are set to the right.
    """
    right = frozenset(numbers)
    heads = [_cell("th", name, right=i in right, scope="col") for i, name in enumerate(head)]
    lines = [
        element(
            "tr",
            _cell("th", first, right=False, scope="row"),
            *(_cell("td", cell, right=i in right) for i, cell in enumerate(others, 1)),
        )
        for first, *others in rows
    ]
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", *lines),
    )
    return _scrolled(whole, caption)


def _scrolled(part: Html, label: str) -> Html:
    """What may be wider than the page: with a name and a place in the order of tabs, for keyboards."""
    at = {"class": "scroll", "role": "region", "aria-label": label, "tabindex": "0"}
    return element("div", part, at=at)


def _cell(name: str, part: Part, *, right: bool, scope: str | None = None) -> Html:
    at = {"scope": scope} if scope else {}
    return element(name, part, at=at | ({"class": "number"} if right else {}))


def picture(png: bytes, *, alt: str, caption: str, size: tuple[int, int]) -> Html:
    """A PNG that lies in the page itself.

    Args:
        png: The file.
        alt: What it shows, for who does not see it.
        caption: The text below.
        size: (width, height) of the file in pixels.
    """
    data = base64.b64encode(png).decode("ascii")
    width, height = map(str, size)
    image = {
        "src": f"data:image/png;base64,{data}",
        "alt": alt,
        "width": width,
        "height": height,
        "style": f"--own:{width}px",
    }
    shown = _scrolled(element("img", at=image), f"Picture. {caption}")
    return element("figure", shown, element("figcaption", caption))


def swatch(color: Color) -> Html:
    """A square of a class's colour, which is named beside it."""
    style = f"background:#{bytes(color).hex()}"
    return element("span", at={"class": "swatch", "style": style, "aria-hidden": "true"})


def items(texts: Iterable[Part]) -> Html:
    """A list."""
    return element("ul", *(element("li", text) for text in texts))


def folded(title: str, *parts: Part) -> Html:
    """What a reader may open."""
    return element("details", element("summary", title), *parts)


def page(title: str, contents: Sequence[tuple[str, str]], body: Iterable[Part], css: str) -> str:
    """A whole document.

    Args:
        title: Of the page.
        contents: (name, title) of the sections.
        body: What stands below the title.
        css: The style sheet.
    """
    links = items(element("a", text, at={"href": f"#{name}"}) for name, text in contents)
    head = element(
        "head",
        element("meta", at={"charset": "utf-8"}),
        element("meta", at={"http-equiv": "Content-Security-Policy", "content": POLICY}),
        element("meta", at={"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", at={"name": "color-scheme", "content": "light dark"}),
        element("title", title),
        Html(f"<style>{css}</style>"),
    )
    main = element("main", *body)
    navigation = element("nav", links, at={"aria-label": "Contents"})
    whole = element("body", element("header", element("h1", title), navigation), main)
    document = element("html", head, Html("\n"), whole, at={"lang": "en"})
    return f"<!DOCTYPE html>\n{document.markup}\n"


POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""No script runs and nothing is fetched, whatever a name in the page may look like."""
