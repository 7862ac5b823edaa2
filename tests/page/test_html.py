"""Builders of HTML: every text comes out as it went in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from geoseg.page.html import Html, element, joined, page, picture, swatch, table
from tests.report.trainings import Page

words = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=30)


@given(words, words)
def test_any_text_is_read_back_from_elements_and_attributes(text, value):
    found = Page(element("p", text, element("b", "bold"), at={"title": value}).markup)
    assert "".join(found.texts) == f"{text}bold"
    assert found.elements == [("p", {"title": value}), ("b", {})]


def test_markup_is_not_escaped_again():
    inner = element("b", "<")
    assert element("i", inner, ">").markup == "<i><b>&lt;</b>&gt;</i>"
    assert joined(["a", Html("<hr>"), "&"]).markup == "a<hr>&amp;"


def test_a_table_names_its_rows_and_columns():
    found = Page(table("It <shows>", ["class", "n"], [["a", "1"], ["b", "2"]], numbers=[1]).markup)
    heads = found.all("th")
    assert [head["scope"] for head in heads] == ["col", "col", "row", "row"]
    assert [cell.get("class") for cell in found.all("td")] == ["number", "number"]
    assert found.texts == ["It <shows>", "class", "n", "a", "1", "b", "2"]
    (outer,) = found.all("div")
    assert outer["aria-label"] == "It <shows>"
    assert outer["tabindex"] == "0"


def test_a_picture_lies_in_the_page():
    found = Page(picture(b"\x89PNG", alt='a "map"', caption="below", size=(7, 5)).markup)
    (image,) = found.all("img")
    assert image["src"] == "data:image/png;base64,iVBORw=="
    assert (image["alt"], image["width"], image["height"]) == ('a "map"', "7", "5")
    assert found.texts == ["below"]


def test_a_swatch_has_the_colour_and_no_name():
    (span,) = Page(swatch((1, 16, 255)).markup).all("span")
    assert span["style"] == "background:#0110ff"
    assert span["aria-hidden"] == "true"


def test_a_page_says_its_language_and_forbids_scripts():
    text = page("A & B", [("one", "<One>")], [element("p", "x")], "p { color: red }")
    assert text.startswith("<!DOCTYPE html>\n<html")
    found = Page(text)
    assert found.all("html") == [{"lang": "en"}]
    policy = [m["content"] for m in found.all("meta") if m.get("http-equiv")]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert found.all("a") == [{"href": "#one"}]
    assert "A & B" in found.texts
