"""The data sets that geoseg knows, each by the name of its command."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from geoseg.convert.layout import Layout
from geoseg.convert.layouts.bigearthnet import BIGEARTHNET
from geoseg.convert.layouts.eurosat import EUROSAT_MULTI_SPECTRAL, EUROSAT_RGB
from geoseg.convert.layouts.hydro import HYDRO
from geoseg.convert.layouts.hyspecnet import HYSPECNET
from geoseg.convert.layouts.major_tom import MAJOR_TOM_CORE
from geoseg.convert.layouts.spectral_earth import SPECTRAL_EARTH_ENMAP
from geoseg.convert.layouts.ssl4eo import SSL4EO_S12
from geoseg.convert.layouts.uc_merced import UC_MERCED
from geoseg.errors import ConfigError

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        layout.name: layout
        for layout in (
            BIGEARTHNET,
            HYSPECNET,
            UC_MERCED,
            EUROSAT_MULTI_SPECTRAL,
            EUROSAT_RGB,
            SSL4EO_S12,
            MAJOR_TOM_CORE,
            HYDRO,
            SPECTRAL_EARTH_ENMAP,
        )
    }
)
"""{name: layout}; `geoseg.convert.layouts.generic` makes one for any other folder or table."""


def layout_of(name: str) -> Layout:
    """The layout of this name.

    Raises:
        ConfigError: There is none; the nearest names are told.
    """
    if (layout := LAYOUTS.get(name)) is not None:
        return layout
    near = get_close_matches(name.lower().replace("_", "-"), LAYOUTS, n=2, cutoff=0.4)
    hint = f"; did you mean {' or '.join(map(repr, near))}" if near else ""
    raise ConfigError(
        f"there is no layout {name!r}{hint}. Known: {', '.join(LAYOUTS)}; `generic` takes any folder or table"
    )
