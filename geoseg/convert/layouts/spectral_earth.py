"""SpectralEarth: EnMAP patches of 202 bands, a folder a location."""

from __future__ import annotations

from geoseg.convert.layout import Group, Layout

SPECTRAL_EARTH_ENMAP = Layout(
    name="spectral-earth-enmap",
    title="SpectralEarth: EnMAP, 202 bands",
    rico=True,
    groups=(
        Group(
            name="images",
            title="LOCATION/PATCH.tif",
            flag="--dataset-dir",
            kind="file",
            pattern=r"\d+.tif$",
            depth=2,
            key="{parent}_{name}",
            bands=tuple(f"B{number}" for number in range(1, 203)),
        ),
    ),
)
