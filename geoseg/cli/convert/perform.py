"""A conversion as it was ordered, or a look for what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import typer

from geoseg.cli.convert.progress import patch_bar
from geoseg.cli.facts import show_facts
from geoseg.cli.told import DATA, printable
from geoseg.errors import ConfigError
from geoseg.warn import warn

if TYPE_CHECKING:
    from geoseg.convert.conversion import Conversion
    from geoseg.convert.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the flags say, the sources left aside."""

    target: str | None
    metadata: Sequence[str] | None
    workers: int | None
    on_error: Literal["stop", "skip"]
    resume: bool
    append: bool
    rico_identical: bool
    embed_geo: bool
    zstd: bool
    shard: tuple[int, int] | None
    check: bool
    as_json: bool


def perform(layout: Layout, sources: Mapping[str, str], order: Order) -> None:
    """Convert and show what came of it, or only look for what is missing.

    Raises:
        ConfigError: There is no target.
        typer.Exit: The look found something, with exit code 1.
    """
    if order.check:
        _look(layout, sources, order)
        return
    target = target_of(order)
    from geoseg.convert.convert import convert

    with patch_bar(layout.name) as seen:
        done = convert(
            layout,
            sources,
            target,
            metadata=order.metadata,
            workers=order.workers,
            on_error=order.on_error,
            resume=order.resume,
            append=order.append,
            rico_identical=order.rico_identical,
            embed_geo=order.embed_geo,
            compression=_compression(order),
            shard=order.shard,
            progress=seen,
        )
    show(done, as_json=order.as_json)


_FLAGS = {"compression": "--zstd"}
"""Arguments of `convert` whose flags have other names."""


def _compression(order: Order) -> Literal["zstd"] | None:
    return "zstd" if order.zstd else None


def show(done: Conversion, *, as_json: bool) -> None:
    """What came of a conversion; of patches that are left out people get the number, programs all."""
    if done.skipped:
        are = "is" if len(done.skipped) == 1 else "are"
        warn(
            f"{len(done.skipped)} of {done.patches} patches could not be read and {are} left out; "
            f"{done.report} tells why"
        )
    told = done.to_dict()
    show_facts(told if as_json else told | {"skipped": len(done.skipped)}, as_json=as_json)


def target_of(order: Order) -> str:
    """Where to.

    Raises:
        ConfigError: It was not given.
    """
    if order.target is None:
        raise ConfigError(
            "--target-dir is missing; give the folder of the store that is to be made"
        )
    return order.target


def check_order(order: Order) -> None:
    """See that flags mean something beside each other.

    Raises:
        ConfigError: One changes nothing with --check, or cannot be with --rico-identical.
    """
    if order.check:
        _refuse_of_writing(order)
    else:
        _refuse_other_bytes(order)


def _refuse_of_writing(order: Order) -> None:
    """The target's folder may be there: nothing is looked for in it."""
    flags = {
        "--num-workers": order.workers is not None,
        "--on-error": order.on_error != "stop",
        "--resume": order.resume,
        "--append": order.append,
        "--rico-identical": order.rico_identical,
        "--embed-geo": order.embed_geo,
        "--zstd": order.zstd,
    }
    if wrong := [flag for flag, given in flags.items() if given]:
        raise ConfigError(
            f"{', '.join(wrong)}: changes nothing with --check, which writes no store; leave it or --check out"
        )


def _refuse_other_bytes(order: Order) -> None:
    """As `convert` refuses them, before any source is looked for."""
    if not order.rico_identical:
        return
    from geoseg.convert.running.settings import other_bytes

    wrong = other_bytes(
        compression=_compression(order),
        embed_geo=order.embed_geo,
        append=order.append,
        shard=order.shard,
    )
    if wrong:
        flags = [_FLAGS.get(name, f"--{name.replace('_', '-')}") for name in wrong]
        raise ConfigError(
            f"{', '.join(flags)}: gives other bytes than rico-hdl's; leave it or --rico-identical out"
        )


def _look(layout: Layout, sources: Mapping[str, str], order: Order) -> None:
    """Tell which patches lack files, a line each."""
    from geoseg.convert.given import shard_of
    from geoseg.convert.patches import find_patches, missing_files, of_shard

    patches = find_patches(layout, sources, metadata=order.metadata, without=order.target)
    patches = of_shard(patches, shard_of(order.shard))
    lacking = missing_files(layout, patches) if patches else []
    if order.as_json:
        listed = [
            {
                "key": one.patch.key,
                "group": one.patch.group,
                "files": list(one.files),
                "empty": list(one.empty),
                "instead": list(one.instead),
            }
            for one in lacking
        ]
        show_facts({"patches": len(patches), "incomplete": listed}, as_json=True)
    else:
        for one in lacking:
            typer.echo(printable(one.describe()))
        typer.echo(f"{len(lacking)} of {len(patches)} patches are incomplete")
    if lacking:
        raise typer.Exit(DATA)
