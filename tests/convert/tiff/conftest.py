"""Counting how often rasterio opens a file."""

from __future__ import annotations

import pytest
import rasterio

from geoseg.convert import images


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    """No kind of TIFF is known from an earlier test."""
    monkeypatch.setattr(images, "_told", {})


@pytest.fixture
def opened(monkeypatch):
    """The paths that rasterio opens from here on."""
    paths, really = [], rasterio.open

    def count(path, *arguments, **options):
        paths.append(path)
        return really(path, *arguments, **options)

    monkeypatch.setattr(rasterio, "open", count)
    return paths
