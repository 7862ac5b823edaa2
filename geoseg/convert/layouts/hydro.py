"""Hydro: Sentinel-2 patches of waters, 12 bands of 256 x 256 pixels in one file."""

from __future__ import annotations

from geoseg.convert.layout import Group, Layout

HYDRO = Layout(
    name="hydro",
    title="Hydro: Sentinel-2, 12 bands in one file",
    rico=True,
    groups=(
        Group(
            name="images",
            title="files patch_NUMBER.tif",
            flag="--dataset-dir",
            kind="file",
            pattern=r"patch_\d+.tif$",
            bands=(*(f"B{number:02}" for number in range(1, 9)), "B8A", "B09", "B11", "B12"),
        ),
    ),
)
