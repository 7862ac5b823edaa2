"""BigEarthNet v2: Sentinel-1 and Sentinel-2 patches of 120 x 120 pixels, and maps of land cover codes."""

from __future__ import annotations

from geoseg.convert.layout import Group, Layout

_S2 = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B11", "B12", "B8A")

BIGEARTHNET = Layout(
    name="bigearthnet",
    title="BigEarthNet v2: Sentinel-1, Sentinel-2 and reference maps",
    rico=True,
    metadata="bigearthnet",
    groups=(
        Group(
            name="s1",
            title="Sentinel-1 patches",
            flag="--bigearthnet-s1-dir",
            kind="folder",
            pattern=r"S1[AB]_IW_GRDH_.*_\d+_\d+$",
            bands=("VH", "VV"),
            file="{name}_{band}.tif",
        ),
        Group(
            name="s2",
            title="Sentinel-2 patches",
            flag="--bigearthnet-s2-dir",
            kind="folder",
            pattern=r"S2[AB]_MSIL2A_.*_\d+_\d+$",
            bands=_S2,
            file="{name}_{band}.tif",
        ),
        Group(
            name="map",
            title="reference maps",
            flag="--bigearthnet-reference-maps-dir",
            aliases=("--bigearthnet-reference-maps",),
            kind="file",
            pattern=r"(?P<patch>S2[AB]_MSIL2A_.*_\d+_\d+)_reference_map.tif$",
            bands=("Data",),
            sample="{patch}",
        ),
    ),
)
