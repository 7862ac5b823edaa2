"""The commands of `geoseg convert`, made from the layouts when one is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

from geoseg.cli.told import told_briefly

if TYPE_CHECKING:
    from geoseg.convert.layout import Layout

GENERIC = "generic"
_FILES = (".yaml", ".yml", ".json")
_WITH_VALUE = ("--to", "--target-dir", "--key")
"""Options of a store that is turned back, which the next word belongs to."""


class Layouts(TyperGroup):
    """A command for each layout that there is, for a file with one, and for a store to be turned back."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take a store that stands behind its options as the first word."""
        return super().parse_args(ctx, _store_first(args))

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - asked so by the base
        """The names of all layouts."""
        from geoseg.convert.layouts import LAYOUTS

        return [*LAYOUTS, GENERIC]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002, RUF100 - asked so by the base
        """The command for what stands first: a layout's name, a file with one, or a store."""
        with told_briefly(debug=False, name=cmd_name):
            return _command(cmd_name)


def layout_named(name: str) -> Layout:
    """A layout that geoseg has, or that of a file.

    Raises:
        ConfigError: There is none, or no such file.
        ValidationError: The file describes none.
    """
    from geoseg.convert.layout import Layout
    from geoseg.convert.layouts import layout_of

    return Layout.from_yaml(Path(name)) if _is_file(name) else layout_of(name)


def _store_first(args: list[str]) -> list[str]:
    """`--to geotiff STORE ...` as `STORE --to geotiff ...`; all else as it is."""
    if not args or not args[0].startswith("-"):
        return args
    if not any(arg == "--to" or arg.startswith("--to=") for arg in args):
        return args
    at = 0
    while at < len(args) and args[at].startswith("-"):
        at += 2 if args[at] in _WITH_VALUE else 1
    return [*args[at : at + 1], *args[:at], *args[at + 1 :]]


def _command(name: str) -> Any:
    from geoseg.convert.layouts import LAYOUTS

    if name == GENERIC:
        from geoseg.cli.convert.generic import generic_command

        return generic_command()
    if name not in LAYOUTS and _is_store(name):
        from geoseg.cli.convert.back import command_back

        return command_back(name)
    from geoseg.cli.convert.known import command_of

    return command_of(layout_named(name), called=name)


def _is_store(name: str) -> bool:
    """Whether a name is meant as a place, as no name of a layout is."""
    return not _is_file(name) and ("/" in name or os.sep in name or Path(name).exists())


def _is_file(name: str) -> bool:
    return name.lower().endswith(_FILES)
