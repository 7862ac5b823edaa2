"""geoseg convert generic: any folder or table of images, or scenes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg.cli.convert.command import conversion_command, option
from geoseg.cli.convert.perform import Order, perform, show, target_of
from geoseg.cli.convert.progress import patch_bar
from geoseg.cli.convert.sources import sources_of
from geoseg.cli.options import refuse_unless
from geoseg.cli.prepare.cut import EdgeKind
from geoseg.cli.scenefile import scenes_of
from geoseg.cli.told import told_briefly
from geoseg.errors import ConfigError

if TYPE_CHECKING:
    from geoseg.window import Edge

NAME = "generic"
_TOLD = """Convert any folder or table of images, with masks or without, or scenes.

A pattern is a path below the folder: * is any text within a name, **/ any folders, {key} the patch's key, {band} a
band's name (where each has its file), {split} and {label} what they say. Without one all images are taken. A table (CSV or
Parquet) has the columns image, and perhaps mask, key, split, labels (a name that is nearly one of them, such as label
or keys, is refused; others are not read); its paths are meant from --dataset-dir, else from its own folder. Where
its column image names folders, --images says which files in each, such as {band}.tif.
A mask becomes the array `mask`.

Fields of --key: {stem}, {name}, {parent}, {grandparent} of the path, and those of the pattern: '{split}_{stem}'
where train and test have the same names."""
_EXAMPLE = "generic --dataset-dir data --images '{split}/images/{key}.tif' --masks '{split}/masks/{key}.png' --target-dir store"
_ELSE = ", --csv or --scenes"


def _text(flag: str, metavar: str, told: str) -> Any:
    return Annotated[str | None, typer.Option(flag, metavar=metavar, help=told)]


def _pixels(flag: str, told: str) -> Any:
    return Annotated[int | None, typer.Option(flag, help=told)]


_FOLDERS = Annotated[
    list[str] | None, typer.Option("--dataset-dir", metavar="DIR", help="The folder of images.")
]
_EDGE = Annotated[
    EdgeKind | None,
    typer.Option(
        "--edge",
        help="With --size: the last window ends at the edge (left out), reaches past it, or is left out.",
    ),
]


def generic_command() -> Any:
    """The command, for typer's group."""
    own = [
        option("folders", _FOLDERS),
        option(
            "images", _text("--images", "PATTERN", "Images below the folder (or table's folders).")
        ),
        option("masks", _text("--masks", "PATTERN", "Their masks, with the same {key}.")),
        option("csv", _text("--csv", "FILE", "A table of images instead of a search.")),
        option(
            "bands",
            _text(
                "--bands",
                "NAMES",
                "Names of the bands in the file's order; bands after them are left out.",
            ),
        ),
        option(
            "key",
            _text("--key", "TEMPLATE", "Keys such as {split}_{stem}, where a table has none."),
        ),
        option("scenes", _text("--scenes", "FILE", "A scene or an experiment (YAML) instead.")),
        option("size", _pixels("--size", "Pixels of a scene's windows; left out: whole scenes.")),
        option("stride", _pixels("--stride", "Pixels from window to window; left out: the size.")),
        option("edge", _EDGE),
    ]
    without = ("metadata", "rico_identical")
    return conversion_command(
        NAME, _convert, own=own, without=without, told=_TOLD, example=_EXAMPLE
    )


def _convert(given: Mapping[str, Any], order: Order) -> None:
    windows = {f"--{name}": given[name] for name in ("size", "stride", "edge")}
    if given["scenes"] is not None:
        _convert_scenes(given, order)
        return
    refuse_unless("--scenes", windows)
    from geoseg.convert.layouts.generic import IMAGES, generic

    bands = None if given["bands"] is None else _names(given["bands"])
    layout = generic(
        images=given["images"],
        masks=given["masks"],
        csv=given["csv"],
        bands=bands,
        key=given["key"],
    )
    sources: dict[str, str] = {}
    target = order.target
    if given["folders"] or given["csv"] is None:
        sources, target = sources_of(
            layout, {IMAGES: given["folders"] or ()}, target, else_give=_ELSE
        )
    perform(layout, sources, replace(order, target=target))


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


def _convert_scenes(given: Mapping[str, Any], order: Order) -> None:
    """Scenes as patches."""
    _refuse_of_files(given, order)
    if given["size"] is None:
        refuse_unless("--size", {f"--{name}": given[name] for name in ("stride", "edge")})
    target = target_of(order)
    edge: Edge = "flush" if given["edge"] is None else given["edge"].value
    from geoseg.convert.scenes import convert_scenes

    with told_briefly(debug=False, name=given["scenes"]):
        scenes = scenes_of(given["scenes"])
    with patch_bar(NAME) as seen:
        done = convert_scenes(
            scenes,
            target,
            size=given["size"],
            stride=given["stride"],
            edge=edge,
            compression="zstd" if order.zstd else None,
            progress=seen,
        )
    show(done, as_json=order.as_json)


_OF_FILES = ("workers", "resume", "append", "embed_geo", "shard", "check")
_AS_FLAGS = {"folders": "--dataset-dir", "workers": "--num-workers"}


def _refuse_of_files(given: Mapping[str, Any], order: Order) -> None:
    """Refuse what means nothing for scenes.

    Raises:
        ConfigError: It was given.
    """
    told = {name: given[name] for name in ("folders", "images", "masks", "csv", "bands", "key")}
    told |= {name: asdict(order)[name] for name in _OF_FILES}
    told["on_error"] = None if order.on_error == "stop" else order.on_error
    wrong = [
        _AS_FLAGS.get(name, f"--{name.replace('_', '-')}") for name, value in told.items() if value
    ]
    if wrong:
        raise ConfigError(
            f"{', '.join(wrong)}: has no meaning for --scenes, which come from no files of patches; leave it out"
        )
