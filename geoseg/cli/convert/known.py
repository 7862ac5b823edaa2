"""The command of one layout: its flags are those that the layout names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg.cli.convert.command import conversion_command, option
from geoseg.cli.convert.options import CloudMask
from geoseg.cli.convert.perform import Order, perform
from geoseg.cli.convert.sources import sources_of
from geoseg.cli.options import refuse_unless

if TYPE_CHECKING:
    from geoseg.convert.layout import Group, Layout

_FEW = 14
"""Bands that are all named in a help text."""
_CLOUDS = "cloud_mask"


def command_of(layout: Layout, *, called: str) -> Any:
    """The command of a layout, for typer's group; `called` is its name, or its file's."""
    from geoseg.convert.layouts.major_tom import MAJOR_TOM_CORE

    own = [option(_option_of(i), _folder(group)) for i, group in enumerate(layout.groups)]
    if layout.name == MAJOR_TOM_CORE.name:
        own.append(option(_CLOUDS, CloudMask, default=False))
    has = {"metadata": layout.metadata is not None, "rico_identical": layout.rico}
    return conversion_command(
        layout.name,
        partial(_convert, layout),
        own=own,
        without=[name for name, there in has.items() if not there],
        told=_told(layout),
        example=f"{quote(called)} {_example(layout)}",
    )


def _convert(layout: Layout, given: Mapping[str, Any], order: Order) -> None:
    folders = {group.name: given[_option_of(i)] for i, group in enumerate(layout.groups)}
    sources, target = sources_of(layout, folders, order.target)
    if given.get(_CLOUDS):
        _check_clouds(layout, sources)
        from geoseg.convert.layouts.major_tom import with_cloud_mask

        layout = with_cloud_mask(layout)
    perform(layout, sources, replace(order, target=target))


def _check_clouds(layout: Layout, sources: Mapping[str, str]) -> None:
    """See that a source has cloud masks.

    Raises:
        ConfigError: Only radar is given.
    """
    if "s2" not in sources:
        flag = layout.group("s2").flag
        refuse_unless(flag, {"--cloud-mask": True})


def _option_of(number: int) -> str:
    """A name for the flag of a group that no other option has."""
    return f"group_{number}"


def _folder(group: Group) -> Any:
    # A list, so that a flag that is given twice can be told of.
    told = f"{group.title or group.name} ({_listed(group.bands)})."
    return Annotated[
        list[str] | None, typer.Option(group.flag, *group.aliases, metavar="DIR", help=told)
    ]


def _listed(bands: tuple[str, ...]) -> str:
    if not bands:
        return "all bands"
    return ", ".join(bands) if len(bands) <= _FEW else f"{bands[0]} to {bands[-1]} ({len(bands)})"


def _told(layout: Layout) -> str:
    """The text of the help: what the data set is, and how a patch is called in the store."""
    keys = "; ".join(f"{group.name}: {group.key}" for group in layout.groups)
    rico = " Keys, names and values are those of rico-hdl." if layout.rico else ""
    return f"Convert {layout.title}.\n\nKeys of the store: {keys}.{rico}"


def _example(layout: Layout) -> str:
    flags = " ".join(f"{group.flag} {group.name}" for group in layout.groups)
    return f"{flags} --target-dir store"
