"""EuroSAT: Sentinel-2 patches of ten classes, a folder a class; 13 bands, or RGB as JPEG."""

from __future__ import annotations

from geoseg.convert.layout import Group, Layout

EUROSAT_MULTI_SPECTRAL = Layout(
    name="eurosat-multi-spectral",
    title="EuroSAT: Sentinel-2 L1C, 13 bands, in class folders",
    rico=True,
    groups=(
        Group(
            name="images",
            title="class folders of GeoTIFFs",
            flag="--dataset-dir",
            kind="file",
            pattern=r".*\d+\.tif$",
            bands=(*(f"B{number:02}" for number in range(1, 13)), "B08A"),
            label="{parent}",
        ),
    ),
)

EUROSAT_RGB = Layout(
    name="eurosat-rgb",
    title="EuroSAT: the RGB version in JPEG, in class folders",
    groups=(
        Group(
            name="images",
            title="class folders of JPEGs",
            flag="--dataset-dir",
            kind="file",
            pattern=r".*\d+\.jpe?g$",
            bands=("Red", "Green", "Blue"),
            label="{parent}",
        ),
    ),
)
