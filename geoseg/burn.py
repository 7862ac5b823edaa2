"""Polygons to class ids on a raster, by GDAL's pixel-centre rule, in numpy.

`Edges.of` turns all polygons of a scene into one table of edges, once; `burn` fills any rectangle
of the scene from that table. The result equals GDAL's burn of the whole scene, pixel by pixel,
whichever rectangles are asked for.

Coordinates are pixels: x counts columns, y counts rows, whole numbers are pixel corners and centres
lie at +0.5. They are never rounded.

The rule (GDAL, alg/llrasterize.cpp, GDALdllImageFilledPolygon):

1. An edge from y1 down to y2 > y1 crosses row r if the row's centre r + 0.5 lies in [y1, y2), at
   x = (r + 0.5 - y1) * (x2 - x1) / (y2 - y1) + x1.
2. The crossings of a polygon, holes included, are sorted along the row; each pair (xa, xb) fills the
   columns floor(xa + 0.5) up to, not including, floor(xb + 0.5).
3. A horizontal edge exactly on a row's centre fills its own columns if it runs towards smaller x
   once its ring is turned clockwise (with y upwards); otherwise it fills nothing.
4. The parts of a multipolygon are burned one by one: where they overlap they add up.

Only for a ring that crosses itself, which way it turns is arguable, and so are its ties by rule 3.
"""

from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import ConfigError, GridError

Geometries = NDArray[np.object_]
Id = TypeVar("Id", bound=np.unsignedinteger[Any])
"""The dtype of the numbers that are burned: uint8, or wider."""
_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

_POLYGON, _MULTIPOLYGON, _COLLECTION = 3, 6, 7  # shapely's type ids
_FAR = 2**30  # rows and columns are cut here, far outside any scene, to fit 32 bits
_ROW_BITS = 8
_STRIP = 2**_ROW_BITS  # rows burned at once: few enough that sorting their crossings stays in cache
_SPANS = 4096  # spans painted at once
_LONG = 128  # mean length from which one assignment a span is faster than one index a pixel


@dataclass(frozen=True, eq=False)
class Edges(Generic[Id]):
    """The edges of all polygons of a scene, sorted so that a strip of rows finds its own.

    A layer is one polygon; layer 0 is painted first, the last layer lies on top. Only edges that
    cross a row's centre are kept. They are grouped by level, an edge of level n covering at least
    2**(n - 1) and fewer than 2**n rows, and sorted by first row within a level: so the edges that
    meet a strip lie in one short run of each level.
    """

    x1: _Floats
    """(edge,) column of the upper end, the one with the smaller y."""
    y1: _Floats
    """(edge,) row of the upper end."""
    x2: _Floats
    """(edge,) column of the lower end."""
    y2: _Floats
    """(edge,) row of the lower end."""
    first: NDArray[np.int32]
    """(edge,) first row whose centre the edge crosses."""
    stop: NDArray[np.int32]
    """(edge,) one past the last such row."""
    layer: NDArray[np.int32]
    """(edge,) the layer that the edge bounds."""
    levels: tuple[tuple[int, int, int], ...]
    """(n, begin, end) of each level in use: edges from begin up to, not including, end."""
    left: NDArray[np.int32]
    """(layer,) no column before this one is filled by the layer."""
    right: NDArray[np.int32]
    """(layer,) no column from this one on is filled by the layer."""
    value: NDArray[Id]
    """(layer,) the id that the layer is filled with."""
    all_touched: bool
    """Whether pixels that an edge passes through are filled as well."""
    skipped: int
    """How many geometries hold no polygon (points, lines, empty, None) and so fill nothing."""

    @classmethod
    def of(
        cls,
        geometries: Geometries,
        values: NDArray[Id],
        *,
        priority: NDArray[Any] | None = None,
        mirrored: bool = False,
        all_touched: bool = False,
    ) -> Self:
        """Build the table.

        Args:
            geometries: (feature,) shapely geometries in pixel coordinates. Of a collection the
                polygons count; geometries without any are counted in `skipped`.
            values: (feature,) id of each feature, of any unsigned dtype.
            priority: (feature,) numbers, the higher on top. Features of equal priority, and all of
                them when it is None, lie in the order given, the last on top.
            mirrored: Decides only ties of horizontal edges exactly on row centres. False: as when
                GDAL burns these pixel coordinates. True: as when GDAL burns map coordinates through
                a transform with a negative determinant, as that of any north-up grid.
            all_touched: Fill also the pixels that share any area with a polygon.

        Raises:
            ConfigError: If values or priority do not fit the geometries.
            GridError: If a coordinate is not finite.
        """
        order = _painters_order(len(geometries), values=values, priority=priority)
        polygons, feature = _polygons(geometries[order])
        start, end, layer, polygon = _outlines(polygons, mirrored=mirrored)
        downward = (start[:, 1] < end[:, 1])[:, np.newaxis]
        upper, lower = np.where(downward, start, end), np.where(downward, end, start)
        first, stop = _rows(upper[:, 1], lower[:, 1], all_touched=all_touched)
        level = np.frexp((stop - first).astype(np.float64))[1]  # 0: the edge meets no row
        turn = np.lexsort((first, level))[np.count_nonzero(level == 0) :]
        upper, lower = upper[turn], lower[turn]
        west, _, east, _ = np.clip(shapely.bounds(polygons)[polygon], -_FAR, _FAR).T
        return cls(
            x1=upper[:, 0].copy(),
            y1=upper[:, 1].copy(),
            x2=lower[:, 0].copy(),
            y2=lower[:, 1].copy(),
            first=first[turn].astype(np.int32),
            stop=stop[turn].astype(np.int32),
            layer=layer[turn].astype(np.int32),
            levels=_groups(level[turn]),
            left=np.floor(west).astype(np.int32),
            right=np.ceil(east).astype(np.int32) + 1,
            value=values[order][feature[polygon]],
            all_touched=all_touched,
            skipped=len(geometries) - len(np.unique(feature)),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the table holds."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))


def burn(
    edges: Edges[Id],
    *,
    rows: tuple[int, int],
    columns: tuple[int, int],
    fill: int,
    out: NDArray[Id] | None = None,
) -> NDArray[Id]:
    """Fill a rectangle of the scene with the ids of the polygons that cover its pixel centres.

    Args:
        edges: All polygons of the scene.
        rows: First row and one past the last; may reach outside the scene, as may the columns.
        columns: First column and one past the last.
        fill: The id where no polygon lies.
        out: C-contiguous array (height, width) of the ids' dtype to overwrite; a new one is made when
            None.

    Returns:
        Ids (height, width), of the dtype of `edges.value`: `out`, where it was given.

    Raises:
        ConfigError: If `out` does not fit the rectangle.
    """
    shape = (rows[1] - rows[0], columns[1] - columns[0])
    dtype = edges.value.dtype
    out = np.empty(shape, dtype) if out is None else out
    if out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
        raise ConfigError(
            f"out is {out.dtype} {out.shape}, C-contiguous: {out.flags.c_contiguous}; expected "
            f"C-contiguous {dtype} {shape} for rows {rows} and columns {columns}"
        )
    out[...] = fill
    for top in range(rows[0], rows[1], _STRIP):
        bottom = min(top + _STRIP, rows[1])
        spans = _spans(edges, rows=(top, bottom), columns=columns)
        _paint(out[top - rows[0] : bottom - rows[0]].reshape(-1), *spans)
    return out


def _painters_order(features: int, *, values: NDArray[Any], priority: NDArray[Any] | None) -> _Ints:
    """(feature,) indices of the features from the bottom to the top."""
    if values.shape != (features,) or values.dtype.kind != "u":
        raise ConfigError(
            f"values are {values.dtype} {values.shape}; expected uint8 ({features},), or a wider "
            "unsigned dtype, one id for each geometry"
        )
    if priority is None:
        return np.arange(features)
    if priority.shape != (features,) or np.isnan(priority).any():
        raise ConfigError(
            f"priority is {priority.dtype} {priority.shape} with {np.isnan(priority).sum()} NaN; "
            f"expected ({features},) without NaN, one number for each geometry"
        )
    order: _Ints = np.argsort(priority, kind="stable")
    return order


def _polygons(geometries: Geometries) -> tuple[Geometries, _Ints]:
    """(polygon,) all polygons that are not empty, and the index of the geometry that holds each."""
    parts, owner = geometries, np.arange(len(geometries))
    while True:
        kind = shapely.get_type_id(parts)
        if not np.isin(kind, (_MULTIPOLYGON, _COLLECTION)).any():
            keep = (kind == _POLYGON) & ~shapely.is_empty(parts)
            return parts[keep], owner[keep]
        parts, whole = shapely.get_parts(parts, return_index=True)
        owner = owner[whole]


def _outlines(polygons: Geometries, *, mirrored: bool) -> tuple[_Floats, _Floats, _Ints, _Ints]:
    """The edges to scan.

    Returns:
        start, end: (edge, 2) x and y of both ends.
        layer: (edge,) the layer that the edge bounds.
        polygon: (layer,) the polygon that the layer comes from, ascending. A polygon has one layer
            for itself and one for each horizontal edge that fills pixels.
    """
    rings, owner = shapely.get_rings(polygons, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    if not np.isfinite(points).all():
        raise GridError(
            f"{len(points) - np.isfinite(points).all(axis=1).sum()} of {len(points)} polygon "
            "vertices are not finite; expected pixel coordinates: compare the CRS of the features "
            "with that of the grid"
        )
    joined = ring[1:] == ring[:-1]
    start, end, ring = points[:-1][joined], points[1:][joined], ring[:-1][joined]
    line = _filled_lines(rings, start, end, ring, mirrored=mirrored)
    if not len(line):
        return start, end, owner[ring], np.arange(len(polygons))
    box_start, box_end = _boxes(start[line], end[line])
    polygon = np.append(np.arange(len(polygons)), owner[ring[line]])
    order = np.argsort(polygon, kind="stable")
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    box = np.tile(np.arange(len(polygons), len(polygon)), 2)
    return (
        np.concatenate([start, box_start]),
        np.concatenate([end, box_end]),
        position[np.append(owner[ring], box)],
        polygon[order],
    )


def _filled_lines(
    rings: Geometries, start: _Floats, end: _Floats, ring: _Ints, *, mirrored: bool
) -> _Ints:
    """Indices of the horizontal edges that fill pixels of their own: rule 3 above."""
    level = start[:, 1] == end[:, 1]
    line = np.flatnonzero(level & (start[:, 1] - 0.5 == np.floor(start[:, 1])))
    used, which = np.unique(ring[line], return_inverse=True)
    # GDAL tells a ring's turn at the vertex lowest on the map, shapely at the one of greatest y.
    seen = rings[used] if mirrored else shapely.transform(rings[used], _upside_down)
    clockwise = np.asarray(shapely.is_ccw(seen))[which]
    length = end[line, 0] - start[line, 0]
    filled: _Ints = line[(length != 0) & ((length < 0) == clockwise)]
    return filled


def _upside_down(xy: _Floats) -> _Floats:
    return np.column_stack([xy[:, 0], -xy[:, 1]])


def _boxes(start: _Floats, end: _Floats) -> tuple[_Floats, _Floats]:
    """The left and right sides of boxes one pixel row high around horizontal edges."""
    top = np.concatenate([start, end])
    top[:, 1] -= 0.5
    return top, top + np.array((0, 1))


def _rows(upper: _Floats, lower: _Floats, *, all_touched: bool) -> tuple[_Ints, _Ints]:
    """First row and one past the last whose centre, or whose inside, each edge crosses."""
    upper, lower = np.clip(upper, -_FAR, _FAR), np.clip(lower, -_FAR, _FAR)
    if all_touched:
        return np.floor(upper).astype(np.int64), np.ceil(lower).astype(np.int64)
    return np.ceil(upper - 0.5).astype(np.int64), np.ceil(lower - 0.5).astype(np.int64)


def _groups(level: NDArray[np.int32]) -> tuple[tuple[int, int, int], ...]:
    """(level, begin, end) of each run of equal values in sorted ones."""
    used, begin, count = np.unique(level, return_index=True, return_counts=True)
    return tuple(zip(used.tolist(), begin.tolist(), (begin + count).tolist(), strict=True))


def _near(edges: Edges[Any], *, rows: tuple[int, int], columns: tuple[int, int]) -> _Ints:
    """Indices of the edges that cross these rows, of layers that may fill these columns."""
    runs = [np.empty(0, np.int64)]
    for level, begin, end in edges.levels:
        first = edges.first[begin:end]
        # The type of `first`, or searchsorted would copy it.
        bounds = np.array((max(rows[0] - 2**level + 2, -_FAR), rows[1]), np.int32)
        runs.append(begin + np.arange(*np.searchsorted(first, bounds)))
    near = np.concatenate(runs)
    near = near[edges.stop[near] > rows[0]]
    layer = edges.layer[near]
    return near[(edges.left[layer] < columns[1]) & (edges.right[layer] > columns[0])]


def _spans(
    edges: Edges[Id], *, rows: tuple[int, int], columns: tuple[int, int]
) -> tuple[_Ints, _Ints, NDArray[Id]]:
    """Start (flat index into the rectangle), length and id of each span, the bottom layer first."""
    near = _near(edges, rows=rows, columns=columns)
    first = np.maximum(edges.first[near], rows[0])
    count = np.minimum(edges.stop[near], rows[1]) - first
    edge = np.repeat(near, count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count - first, count)

    # Layer, row and column in one number: sorting plain integers is several times faster.
    width = columns[1] - columns[0]
    bits = width.bit_length()
    base = (edges.layer[edge].astype(np.int64) << _ROW_BITS) + (row - rows[0]) << bits
    start, end = _between_crossings(edges, edge, row, base, columns=columns)
    if edges.all_touched:
        west, east = _touched_columns(edges, edge, row, columns=columns)
        start, end = np.append(start, base + west), np.append(end, base + east)
        order = np.argsort(start)
        start, end = start[order], end[order]
    filled = end > start
    start, end = start[filled], end[filled]
    pixel = (start >> bits & _STRIP - 1) * width + (start & (1 << bits) - 1)
    return pixel, end - start, edges.value[start >> bits + _ROW_BITS]


def _between_crossings(
    edges: Edges[Any], edge: _Ints, row: _Ints, base: _Ints, *, columns: tuple[int, int]
) -> tuple[_Ints, _Ints]:
    """Start and end of the spans whose centres lie inside: rules 1 and 2 above.

    A row of a layer begins at `base`; both arrays add to it columns counted from the rectangle's.
    """
    centre = row + 0.5
    if edges.all_touched:
        crosses = (edges.y1[edge] <= centre) & (centre < edges.y2[edge])
        edge, centre, base = edge[crosses], centre[crosses], base[crosses]
    x1, y1 = edges.x1[edge], edges.y1[edge]
    x = (centre - y1) * (edges.x2[edge] - x1) / (edges.y2[edge] - y1) + x1
    key = base + _inside(np.floor(x + 0.5), columns=columns)
    key.sort()
    return key[0::2], key[1::2]


def _touched_columns(
    edges: Edges[Any], edge: _Ints, row: _Ints, *, columns: tuple[int, int]
) -> tuple[_Ints, _Ints]:
    """First column and one past the last that each edge passes through within the row."""
    x1, y1, x2 = edges.x1[edge], edges.y1[edge], edges.x2[edge]
    rise = np.maximum(edges.y2[edge] - y1, np.finfo(np.float64).tiny)  # of a horizontal edge: not 0
    enters = x1 + np.clip((row - y1) / rise, 0, 1) * (x2 - x1)
    leaves = x1 + np.clip((row + 1 - y1) / rise, 0, 1) * (x2 - x1)
    west = np.maximum(np.minimum(enters, leaves), np.minimum(x1, x2))
    east = np.minimum(np.maximum(enters, leaves), np.maximum(x1, x2))
    return _inside(np.floor(west), columns=columns), _inside(np.ceil(east), columns=columns)


def _inside(column: _Floats, *, columns: tuple[int, int]) -> _Ints:
    """Columns cut to the rectangle and counted from its first."""
    return np.clip(column, *columns).astype(np.int64) - columns[0]


def _paint(pixels: NDArray[Id], start: _Ints, length: _Ints, value: NDArray[Id]) -> None:
    """Fill spans of flat pixels in the order given."""
    for begin in range(0, len(start), _SPANS):
        part = slice(begin, begin + _SPANS)
        if length[part].mean() < _LONG:
            stop = np.cumsum(length[part])
            shift = np.repeat(start[part] - stop + length[part], length[part])
            pixels[shift + np.arange(len(shift))] = np.repeat(value[part], length[part])
            continue
        ends = start[part] + length[part]
        for first, end, one in zip(
            start[part].tolist(), ends.tolist(), value[part].tolist(), strict=True
        ):
            pixels[first:end] = one
