"""Commands of `geoseg convert` that take options of their own beside those that all have."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import typer
from typer.main import get_command

from geoseg.cli.convert.options import (
    Append,
    Check,
    EmbedGeo,
    Metadata,
    NumWorkers,
    OnError,
    OnErrorOption,
    Resume,
    RicoIdentical,
    Shard,
    TargetDir,
    Zstd,
)
from geoseg.cli.convert.perform import Order, check_order
from geoseg.cli.options import AsJson, Debug, shard_of
from geoseg.cli.told import told_briefly

STOPPED = "what was converted is kept; the same call with --resume goes on"

Work = Callable[[Mapping[str, Any], Order], None]
"""Takes a command's own options by name, and what all commands are told."""


def conversion_command(
    name: str,
    work: Work,
    *,
    own: Sequence[inspect.Parameter],
    without: Collection[str] = (),
    told: str,
    example: str,
) -> Any:
    """A command that converts.

    Args:
        name: How it is called.
        work: What it does.
        own: Options that it alone has.
        without: Names of common options that it does not have.
        told: The text of its help.
        example: A call, without `geoseg convert`.
    """

    def run(
        *,
        target_dir: TargetDir = None,
        num_workers: NumWorkers = None,
        on_error: OnErrorOption = OnError.stop,
        resume: Resume = False,
        append: Append = False,
        rico_identical: RicoIdentical = False,
        embed_geo: EmbedGeo = False,
        zstd: Zstd = False,
        shard: Shard = None,
        metadata: Metadata = None,
        check: Check = False,
        as_json: AsJson = False,
        debug: Debug = False,
        **others: Any,
    ) -> None:
        with told_briefly(debug=debug, name=name, stopped=STOPPED):
            order = Order(
                target=target_dir,
                metadata=metadata,
                workers=num_workers,
                on_error=on_error.value,
                resume=resume,
                append=append,
                rico_identical=rico_identical,
                embed_geo=embed_geo,
                zstd=zstd,
                shard=shard_of(shard),
                check=check,
                as_json=as_json,
            )
            check_order(order)
            work(others, order)

    _declare(run, own, without=without)
    return made(run, name, told=told, example=example)


def made(run: Callable[..., None], name: str, *, told: str, example: str) -> Any:
    """A command as typer makes it of a function."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name, help=told, epilog=f"Example: geoseg convert {example}")(run)
    return get_command(app)


def option(name: str, kind: Any, default: Any = None) -> inspect.Parameter:
    """An option of a command, as typer takes it from a signature."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _declare(
    run: Callable[..., None], own: Sequence[inspect.Parameter], *, without: Collection[str]
) -> None:
    """Put options into the place of a function's `**`, before all others, and leave some of these out."""
    common = inspect.signature(run, eval_str=True).parameters.values()
    kept = [p for p in common if p.kind is p.KEYWORD_ONLY and p.name not in without]
    run.__signature__ = inspect.Signature([*own, *kept])  # type: ignore[attr-defined]
