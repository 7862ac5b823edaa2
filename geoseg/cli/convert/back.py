"""geoseg convert STORE --to geotiff: the files that a store was made of, or as good as."""

from __future__ import annotations

from enum import StrEnum
from shlex import quote
from typing import Annotated, Any

import typer

from geoseg.cli.convert.command import made
from geoseg.cli.convert.progress import patch_bar
from geoseg.cli.facts import show_facts
from geoseg.cli.options import AsJson, Debug
from geoseg.cli.told import told_briefly
from geoseg.errors import ConfigError

_TOLD = """Write the patches of a store as GeoTIFFs again, with the georeference and nodata of its manifest.

Not the files that it was made of: a patch is one file KEY.tif with all its bands, or, where their sizes, dtypes or
nodata differ, a folder KEY with a file BAND.tif for each. Split and labels are tags of the files."""


class To(StrEnum):
    """What a store is turned into."""

    geotiff = "geotiff"


def command_back(store: str) -> Any:
    """The command of a store, for typer's group."""

    def run(
        *,
        to: Annotated[To | None, typer.Option("--to", help="What to make of the store.")] = None,
        target_dir: Annotated[
            str | None, typer.Option("--target-dir", metavar="DIR", help="The folder to make.")
        ] = None,
        keys: Annotated[
            list[str] | None,
            typer.Option("--key", help="Only this patch. May be given several times."),
        ] = None,
        as_json: AsJson = False,
        debug: Debug = False,
    ) -> None:
        with told_briefly(debug=debug, name=store):
            if to is None:
                raise ConfigError(
                    f"{store}: what to do with it is not said; a store is turned into files by --to geotiff, "
                    "and a data set into a store by its layout: `geoseg convert` lists them"
                )
            if target_dir is None:
                raise ConfigError("--target-dir is missing; give the folder that is to be made")
            from geoseg.convert.restore import to_geotiff

            with patch_bar(f"restore {store}") as seen:
                done = to_geotiff(store, target_dir, keys=keys or None, progress=seen)
            show_facts(done.to_dict(), as_json=as_json)

    return made(
        run, "STORE", told=_TOLD, example=f"{quote(store)} --to geotiff --target-dir patches"
    )
