"""The page of a check: all in one file, pictures that show what they say, whole in a browser."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import rasterio
from PIL import Image

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.page.html import POLICY
from geoseg.prepare import check
from geoseg.prepare.checking.labellook import Known
from geoseg.prepare.checking.looked import Looked
from geoseg.prepare.checking.opening import Opened
from geoseg.prepare.checking.pairing import images_of
from geoseg.prepare.checking.quicklook import IGNORED, UNKNOWN, quicklook
from geoseg.prepare.checking.scan import Scan
from tests.prepare.checkdata import CLASSES, SIZE, Data
from tests.report.test_browser import look

EVIL = '<img src=x onerror="alert(1)">'


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path)


@pytest.fixture
def page(data):
    """A page with findings of all severities, and a class with an odd name."""
    data.labels[0][5:8, 7:10] = 9
    data.labels[1][:SIZE, :SIZE] = 255
    data.labels[2][100, 100] = 1
    data.images[2][:, :SIZE, :SIZE] = 0
    data.write(image_options={"nodata": 0})
    index = data.index()
    index = index.with_columns({"split": ["train"] * 30 + ["val"] * 30})
    classes = ClassMap.of("ground", EVIL, "house")
    report = check(index, classes=classes, report=data.folder / "out" / "page.html", pictures=6)
    assert report.json_uri.endswith("page.json")
    return (data.folder / "out" / "page.html").read_text(encoding="utf-8")


def test_the_page_holds_everything_itself_and_runs_nothing(page):
    assert POLICY in page.replace("&#x27;", "'")
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:image/png;base64,|#)', page)
    assert EVIL not in page
    for name in ("findings", "bad", "classes", "edges", "parts", "typical", "masks", "settings"):
        assert f'<h2 id="{name}">' in page
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 7  # four findings with a window, and three others
    for text in pictures:
        assert min(Image.open(io.BytesIO(base64.b64decode(text))).size) >= 100


def test_a_quicklook_shows_labels_and_the_boundaries_on_the_image(data):
    data.labels[0][:SIZE, :SIZE] = np.repeat([0, 1], 32)[None]
    data.labels[0][:8, :8] = 255
    data.labels[0][:8, 8:16] = 99
    data.write()
    index = data.index()
    classes = ClassMap.of(*CLASSES)
    known = Known(classes.ids, (255,))
    subject = Looked(
        Opened(index, np.arange(len(index)), len(index), "error"),
        images_of(index, None, "image_path"),
        Scan.of(len(index)),
        known,
        classes.classes,
    )
    found = quicklook(subject, 0)
    picture = np.array(Image.open(io.BytesIO(found.png)))
    assert picture.shape == (256, 2 * 256 + 8, 3)
    assert found.size == (520, 256)
    labels = picture[::4, 264::4]
    assert (labels[:8, :8] == IGNORED).all()
    assert (labels[:8, 8:16] == UNKNOWN).all()
    assert (labels[8:, :32] == classes.classes[0].color).all()
    assert (labels[8:, 32:] == classes.classes[1].color).all()
    image = picture[:, :256]
    assert (image[100:, 127] == classes.classes[0].color).all()
    assert (image[100:, 128] == classes.classes[1].color).all()
    assert not (image[100:, 130:250] == classes.classes[1].color).all(axis=-1).any()


def test_large_windows_become_small_pictures(data):
    data.write()
    index = data.index(images=False)
    report = check(index.select([0]), report=data.folder / "small")
    assert report.html_uri == str(data.folder / "small" / "check.html")
    whole = data.index().__class__.build([data.mask(0)], patch_size=600, edge="pad")
    check(whole, report=data.folder / "large")
    html = (data.folder / "large" / "check.html").read_text(encoding="utf-8")
    (text,) = set(re.findall(r'src="data:image/png;base64,([^"]+)"', html))
    assert Image.open(io.BytesIO(base64.b64decode(text))).size == (200, 200)


def test_a_report_never_replaces_what_was_read(data):
    data.write()
    index = data.index(images=False)
    with rasterio.open(data.mask(0)) as file:
        before = file.read()
    target = data.folder / "mask0.html"
    target.symlink_to(data.mask(0))
    with pytest.raises(ConfigError, match="is read as an input"):
        check(index, report=target)
    with rasterio.open(data.mask(0)) as file:
        assert (file.read() == before).all()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_is_whole_and_no_wider_than_the_window(tmp_path, page, width):
    found = look(tmp_path, page, width)
    assert found["width"] == width
    assert found["content"] <= width
    assert found["wide"] == []
    assert len(found["images"]) == 7
    assert all(min(natural) > 50 and shown > 50 for *natural, shown in found["images"])
    assert found["title"] == "Check of training data"
    assert found["requests"] == []
    assert (found["scripts"], found["handlers"]) == (0, 0)
    assert EVIL in found["text"]
    assert "Masks with values that are neither a class nor ignored" in found["text"]
