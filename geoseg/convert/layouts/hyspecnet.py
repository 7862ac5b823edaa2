"""HySpecNet-11k: hyperspectral patches of EnMAP, 224 bands of 128 x 128 pixels."""

from __future__ import annotations

from geoseg.convert.layout import Group, Layout

HYSPECNET = Layout(
    name="hyspecnet-11k",
    title="HySpecNet-11k: EnMAP, 224 bands",
    rico=True,
    groups=(
        Group(
            name="images",
            title="folders with a spectral image each; quicklooks are not taken",
            flag="--dataset-dir",
            kind="folder",
            pattern=r"ENMAP.*?_L2A.*-Y\d+_X\d+$",
            bands=tuple(f"B{number}" for number in range(1, 225)),
            file="{name}-SPECTRAL_IMAGE.TIF",
        ),
    ),
)
