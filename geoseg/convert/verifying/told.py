"""Whether a manifest tells the truth of a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from geoseg.sources.store.patch import Patch


def untrue(
    row: Patch,
    arrays: Mapping[str, NDArray[Any]],
    *,
    order: Sequence[str],
    is_whole: bool,
) -> list[str]:
    """What the manifest tells of the arrays and is not so.

    Args:
        row: What it tells.
        arrays: Those that are stored.
        order: The tensors in the order in which the files give them.
        is_whole: Whether the manifest has to tell all.
    """
    if row.bands is None:
        return ["the manifest does not tell its bands"] if is_whole else []
    if {*row.bands} != arrays.keys():
        return [f"the manifest tells of the bands {sorted(row.bands)}, stored are {sorted(arrays)}"]
    wrong = []
    if is_whole and {*order} == {*row.bands} and row.bands != (*order,):
        wrong.append(
            f"the manifest tells of the bands in the order {', '.join(row.bands)}, the files give "
            f"{', '.join(order)}"
        )
    found = {
        "shapes": tuple(arrays[name].shape for name in row.bands),
        "dtypes": tuple(arrays[name].dtype.name for name in row.bands),
    }
    for column, told in (("shapes", row.shapes), ("dtypes", row.dtypes)):
        if told is None and is_whole:
            wrong.append(f"the manifest does not tell its {column}")
        elif told is not None and told != found[column]:
            wrong.append(f"the manifest tells of the {column} {told}, stored are {found[column]}")
    return wrong
