"""Major-TOM Core: Sentinel-1 RTC and Sentinel-2 L2A patches of about 10 km, a folder a grid cell."""

from __future__ import annotations

from geoseg.convert.layout import Group, Layout
from geoseg.errors import ConfigError

CLOUD_MASK = "cloud_mask"
"""The tensor that `with_cloud_mask` adds."""

MAJOR_TOM_CORE = Layout(
    name="major-tom-core",
    title="Major-TOM Core: Sentinel-1 RTC and Sentinel-2 L2A",
    rico=True,
    groups=(
        Group(
            name="s1",
            title="Sentinel-1 RTC patches",
            flag="--s1-dir",
            kind="folder",
            pattern=r"S1[AB]_IW_GRDH_.*_rtc$",
            key="{parent}_{name}",
            bands=("vh", "vv"),
            file="{band}.tif",
            sample="{parent}",
            sample_if_unique=True,
        ),
        Group(
            name="s2",
            title="Sentinel-2 L2A patches",
            flag="--s2-dir",
            kind="folder",
            pattern=r"S2[AB]_MSIL2A_.*_[0-9T]+$",
            key="{parent}_{name}",
            bands=(*(f"B{number:02}" for number in (*range(1, 10), 11, 12)), "B8A"),
            file="{band}.tif",
            sample="{parent}",
            sample_if_unique=True,
        ),
    ),
)


def with_cloud_mask(layout: Layout = MAJOR_TOM_CORE) -> Layout:
    """The layout with the cloud mask of Sentinel-2 patches as one more tensor, `cloud_mask`.

    Values then differ from those of rico-hdl, which leaves it out.

    Raises:
        ConfigError: It is another data set.
    """
    if layout.name != MAJOR_TOM_CORE.name:
        raise ConfigError(
            f"layout {layout.name!r} has no cloud mask; only {MAJOR_TOM_CORE.name!r} has one"
        )
    s1, s2 = layout.groups
    bands = tuple(dict.fromkeys((*s2.bands, CLOUD_MASK)))
    groups = (s1, s2.model_copy(update={"bands": bands}))
    return layout.model_copy(update={"groups": groups, "rico": False})
