"""geoseg demo: the embedded sample from source to map."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from geoseg.cli.options import Debug
from geoseg.cli.told import told_briefly
from geoseg.cli.train import print_results
from geoseg.errors import ConfigError
from geoseg.outputs import written_whole

_EXPERIMENT, _PREVIEW = "experiment.yaml", "preview.png"


def demo(
    out: Annotated[
        str, typer.Argument(metavar="[OUT]", help="The folder of all results.")
    ] = "geoseg-demo",
    debug: Debug = False,
) -> None:
    """Train, predict and score on a real satellite scene.

    It takes about a minute. The scene (Landsat 7, North Carolina) comes with geoseg: nothing is downloaded. The model learns
    land cover on the southern half and is scored on the northern. OUT gets the experiment as YAML, to
    be changed and run again with `geoseg train`, the model, the map, a picture and the scores.
    """
    with told_briefly(debug=debug):
        folder = Path(out).absolute()
        text = _experiment_text(folder)
        _refuse_foreign(folder, text)
        if sys.stderr.isatty():
            typer.echo("Training on half of a Landsat 7 scene; about a minute.", err=True)
        _run(folder, text)


def _experiment_text(folder: Path) -> str:
    from geoseg import sample

    return sample.experiment_text(output=str(folder))


def _refuse_foreign(folder: Path, text: str) -> None:
    """See that the folder is new, empty, or of an earlier demo.

    Raises:
        ConfigError: It holds something else.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"{folder}: is a file, expected a folder; name another")
    known = folder / _EXPERIMENT
    ours = known.is_file() and known.read_text(encoding="utf-8", errors="replace") == text
    if not ours and any(folder.iterdir()):
        raise ConfigError(
            f"{folder}: holds files that are not this demo's, or its {_EXPERIMENT} was changed; name "
            f"a new folder (a changed experiment is run by `geoseg train {known}`)"
        )


def _run(folder: Path, text: str) -> None:
    from geoseg.experiment import Experiment, run
    from geoseg.labels.geotiff import GeoTIFFLabelStore
    from geoseg.plot import preview_png

    experiment = Experiment.from_yaml(text)
    with written_whole(str(folder / _EXPERIMENT)) as path:
        path.write_text(text, encoding="utf-8")
    with _one_thread():
        results = run(experiment, file=str(folder / _EXPERIMENT))
    preview = str(folder / _PREVIEW)
    scene = experiment.test[0]
    preview_png(preview, scene, GeoTIFFLabelStore(uri=results.maps[scene.id]).read())
    print_results(results)
    typer.echo(f"picture     {preview}")
    typer.echo(f"experiment  {folder / _EXPERIMENT}")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread: for windows this small as fast as more, and equal on any number of cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
