"""geoseg merge: the parts of a map joined."""

from __future__ import annotations

from typing import Annotated

import typer

from geoseg.cli.options import Debug
from geoseg.cli.told import told_briefly
from geoseg.errors import ConfigError


def merge(
    parts: Annotated[
        list[str],
        typer.Argument(metavar="PART...", help="What `geoseg predict --shard` wrote."),
    ],
    out: Annotated[str, typer.Argument(metavar="OUT", help="The map to write (.tif).")],
    *,
    debug: Debug = False,
) -> None:
    """Join the parts of a map that shards have predicted.

    The map is the one that a single run would have made. Parts of different runs, that overlap, or that leave rows out, are refused.
    """
    with told_briefly(debug=debug, name="merge"):
        from geoseg.labels.geotiff import GeoTIFFLabelStore
        from geoseg.labels.parts import merge as join

        if not out.lower().endswith((".tif", ".tiff")):
            raise ConfigError(f"{out}: the map is a GeoTIFF; give it a name that ends in .tif")
        join(parts, GeoTIFFLabelStore(uri=out))
        typer.echo(out)
