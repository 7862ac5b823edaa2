"""The report in a browser, headless: pictures are there, and nothing is wider than the page."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess

import pytest
import rasterio

from geoseg.page.html import POLICY
from geoseg.report.training import report_text
from tests.report.trainings import CLASSES, EVIL, facts
from tests.support.waiting import PATIENCE

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

LOOK = """
<script>
addEventListener("load", () => {
  const images = [...document.images];
  const root = document.documentElement;
  const wide = [...document.querySelectorAll("body *")].filter(part => {
    const scroller = part.parentElement.closest(".scroll");
    return !scroller && part.getBoundingClientRect().right > innerWidth + 0.5;
  });
  const shown = {
    width: innerWidth, content: root.scrollWidth, images: images.map(i => [i.naturalWidth, i.naturalHeight, i.width]),
    wide: wide.map(part => part.outerHTML.slice(0, 120)), title: document.title,
    scripts: document.querySelectorAll("main script").length, handlers: document.querySelectorAll("[onerror]").length,
    heads: [...document.querySelectorAll("h2")].map(h => h.id), text: document.body.innerText,
    ground: getComputedStyle(document.body).backgroundColor, ink: getComputedStyle(document.body).color,
    requests: performance.getEntriesByType("resource").filter(r => !r.name.startsWith("data:")).map(r => r.name),
  };
  parent.postMessage(JSON.stringify(shown), "*");
});
</script>
"""
FRAME = """<!DOCTYPE html><title>frame</title><pre id="found"></pre>
<iframe src="page.html" width="{width}" height="900" style="border: 0"></iframe>
<script>addEventListener("message", event => {{ document.getElementById("found").textContent = event.data; }});</script>
"""


def browser():
    for name in NAMES:
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium is installed: apt-get install chromium")


def run(folder, *options):
    """What the browser prints, with a profile of its own."""
    fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]  # fmt: skip
    quiet = ["--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"]
    command = [browser(), *fixed, *quiet, *options]
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=True, env=environment
    )
    return done.stdout


def look(folder, text, width, *options):
    """What a script in the page sees that lies in a frame of a width."""
    bare = text.replace(f'content="{html.escape(POLICY)}"', 'content="img-src data:"')
    assert bare != text  # the page itself lets no script run
    (folder / "page.html").write_text(bare.replace("</main>", f"</main>{LOOK}"), encoding="utf-8")
    (folder / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
    dom = run(
        folder, "--virtual-time-budget=20000", *options, "--dump-dom", f"file://{folder}/frame.html"
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    return json.loads(html.unescape(found.group(1)))


@pytest.fixture(scope="module")
def text():
    pytest.importorskip("matplotlib")
    return report_text(facts())


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_is_whole_and_no_wider_than_the_window(tmp_path, text, width):
    found = look(tmp_path, text, width)
    assert found["width"] == width
    assert found["content"] <= width
    assert found["wide"] == []
    assert len(found["images"]) == 8
    assert all(min(natural) > 50 and shown > 50 for *natural, shown in found["images"])
    assert found["title"] == "Training report"
    assert "options" in found["heads"]
    assert found["requests"] == []


def test_names_are_shown_and_not_run(tmp_path, text):
    found = look(tmp_path, text, 800)
    assert EVIL in found["text"]
    assert CLASSES.names[0] in found["text"]
    assert (found["scripts"], found["handlers"]) == (0, 0)


def test_the_page_is_dark_where_a_reader_wants_it(tmp_path, text):
    light = look(tmp_path, text, 800, "--blink-settings=preferredColorScheme=1")
    dark = look(tmp_path, text, 800, "--blink-settings=preferredColorScheme=0")

    def brightness(color):
        return sum(map(int, re.findall(r"\d+", color)[:3]))

    assert brightness(light["ground"]) > 700
    assert brightness(light["ink"]) < 200
    assert brightness(dark["ground"]) < 100
    assert brightness(dark["ink"]) > 600


def test_a_screenshot_shows_colours_of_the_page(tmp_path, text):
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    shot = tmp_path / "shot.png"
    run(
        tmp_path,
        "--window-size=1280,5000",
        f"--screenshot={shot}",
        f"file://{tmp_path}/report.html",
    )
    with rasterio.open(shot) as file:
        picture = file.read()[:3].transpose(1, 2, 0)
    assert picture.shape == (5000, 1280, 3)
    for info in CLASSES.classes[:2]:
        assert (picture == info.color).all(axis=2).sum() > 1000
