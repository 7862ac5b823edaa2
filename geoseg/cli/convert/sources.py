"""From which folders and to where a call converts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from geoseg.errors import ConfigError
from geoseg.warn import warn

if TYPE_CHECKING:
    from geoseg.convert.layout import Layout

_TWICE = 2


def sources_of(
    layout: Layout,
    given: Mapping[str, Sequence[str] | None],
    target: str | None,
    *,
    else_give: str = "",
) -> tuple[dict[str, str], str | None]:
    """({group: folder}, target) of what was given.

    Some examples for rico-hdl give the only source's flag twice and mean the target by the second: that is
    taken so, with a warning.

    Args:
        layout: The layout.
        given: What the flag of each group was given, as often as it was.
        target: What the target's flag was given; None where it was not.
        else_give: For the error: what may be given instead of these flags.

    Raises:
        ConfigError: No source is given, or a flag twice.
    """
    flags = {group.name: group.flag for group in layout.groups}
    found = {name: list(folders) for name, folders in given.items() if folders}
    if not found:
        one_of = "" if len(flags) == 1 else "at least one of "
        raise ConfigError(
            f"{layout.name}: no source is given; give {one_of}{', '.join(flags.values())}{else_give}"
        )
    if target is None and len(flags) == 1:
        [(name, folders)] = found.items()
        if len(folders) == _TWICE:
            target = folders.pop()
            warn(f"{flags[name]}: is given twice; {target} is taken as --target-dir")
    for name, folders in found.items():
        if len(folders) > 1:
            raise ConfigError(
                f"{flags[name]}: is given {len(folders)} times, with {', '.join(folders)}; give it once, and "
                "convert the others by calls of their own with --append"
            )
    return {name: folders[0] for name, folders in found.items()}, target
