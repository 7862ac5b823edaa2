"""SSL4EO-S12: Sentinel-1 GRD, Sentinel-2 L1C and L2A, a folder a location with one a season in it.

Where each group has a location once, its patches belong together. Of several seasons nobody knows which
patch of Sentinel-1 belongs to which of Sentinel-2; there L1C and L2A are paired by the folder's name.
"""

from __future__ import annotations

from geoseg.convert.layout import Group, Layout

_KEY = "{grandparent}_{parent}_{name}"

SSL4EO_S12 = Layout(
    name="ssl4eo-s12",
    title="SSL4EO-S12: Sentinel-1, Sentinel-2 L1C and L2A",
    rico=True,
    groups=(
        Group(
            name="s1",
            title="Sentinel-1 GRD, LOCATION/PATCH",
            flag="--s1-dir",
            kind="folder",
            depth=2,
            key=_KEY,
            bands=("VH", "VV"),
            file="{band}.tif",
            sample="{parent}",
            sample_if_unique=True,
        ),
        Group(
            name="l1c",
            title="Sentinel-2 L1C, LOCATION/PATCH",
            flag="--s2-l1c-dir",
            kind="folder",
            depth=2,
            key=_KEY,
            bands=(*(f"B{number}" for number in range(1, 13)), "B8A"),
            file="{band}.tif",
            sample="{parent}",
            sample_if_unique=True,
            sample_else="{parent}_{name}",
        ),
        Group(
            name="l2a",
            title="Sentinel-2 L2A, LOCATION/PATCH",
            flag="--s2-l2a-dir",
            kind="folder",
            depth=2,
            key=_KEY,
            bands=(*(f"B{number}" for number in (*range(1, 10), 11, 12)), "B8A"),
            file="{band}.tif",
            sample="{parent}",
            sample_if_unique=True,
            sample_else="{parent}_{name}",
        ),
    ),
)
