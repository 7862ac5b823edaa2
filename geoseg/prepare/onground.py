"""What a pixel measures on the ground, where its CRS does not tell in metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from geoseg.grid import Grid

_STRETCHED = 0.02
"""A part of its length by which a metre of the CRS may differ from one on the ground."""


@dataclass(frozen=True)
class GroundSize:
    """A pixel at a grid's centre."""

    x: float
    """Metres on the ellipsoid, across."""
    y: float
    """Metres, down."""
    told_x: float | None
    """Metres that the CRS makes of it; None in degrees."""
    told_y: float | None
    """Metres likewise."""
    note: str | None
    """One sentence where the numbers of the CRS mislead; None where they are metres within 2 %."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "x": self.x,
            "y": self.y,
            "told_x": self.told_x,
            "told_y": self.told_y,
            "note": self.note,
        }


def ground_size(grid: Grid) -> GroundSize | None:
    """Metres on the ground of a pixel at the grid's centre, and what to know about them.

    Source: the geodesic on the WGS84 ellipsoid between corners of the centre pixel.

    Returns:
        None without a CRS, or where the CRS is not on the Earth.
    """
    metres = grid.ground_resolution
    if grid.crs is None or metres is None:
        return None
    x, y = metres
    if grid.crs.is_geographic:
        note = (
            f"pixels are in degrees: at the centre one measures {x:.4g} x {y:.4g} m on the ground, more "
            "or less elsewhere; for square pixels use a projected CRS in metres, such as UTM"
        )
        return GroundSize(x, y, None, None, note)
    factor = float(grid.crs.linear_units_factor[1])
    told_x, told_y = (size * factor for size in grid.resolution)
    stretch = max(told_x / x, told_y / y, x / told_x, y / told_y)
    if stretch <= 1 + _STRETCHED:
        return GroundSize(x, y, told_x, told_y, None)
    code = grid.crs.to_string()
    name = code if code.startswith("EPSG:") else "this CRS"
    note = (
        f"a pixel of {told_x:.4g} x {told_y:.4g} m in {name} measures {x:.4g} x {y:.4g} m on the ground "
        f"at the centre, {stretch:.4g} times apart; distances and areas taken in "
        "its coordinates are wrong by that and its square"
    )
    return GroundSize(x, y, told_x, told_y, note)
