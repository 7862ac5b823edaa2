"""geoseg predict: a map from a bundle and an image."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg.cli.options import AoiFile, Debug, bands_of, bytes_of, shard_of
from geoseg.cli.stores import Confidence, Entropy, Mode, ModeOption, Out, Scores, store_for
from geoseg.cli.told import told_briefly
from geoseg.errors import ConfigError
from geoseg.outputs import check_names, refuse_inputs

if TYPE_CHECKING:
    from geoseg.labels.base import LabelStore
    from geoseg.scene import Scene


class Resolution(StrEnum):
    """On which pixels a map is made."""

    image = "image"
    trained = "trained"


def predict(
    bundle: Annotated[
        str,
        typer.Argument(
            metavar="BUNDLE", help="The model: bundle.zip, or what `geoseg export` wrote."
        ),
    ],
    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="A raster file, map tiles, or a source (YAML).")
    ],
    out: Out,
    *,
    size: Annotated[
        int | None, typer.Option(help="Pixels of a window; left out: as trained.")
    ] = None,
    stride: Annotated[
        int | None, typer.Option(help="Pixels from window to window; left out: half the size.")
    ] = None,
    blend: Annotated[
        str | None,
        typer.Option(
            help="How windows are joined: center, mean, linear, hann (left out), gaussian."
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Windows in a step; left out: as trained.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read; left out: 0.")] = None,
    tta: Annotated[
        str | None,
        typer.Option(help="Average each window over mirrored (flips) or also turned (d4) ones."),
    ] = None,
    resolution: Annotated[
        Resolution,
        typer.Option(help="Pixels of the map: the image's, or of the size that the model knows."),
    ] = Resolution.image,
    scores: Scores = False,
    confidence: Confidence = False,
    entropy: Entropy = False,
    mode: ModeOption = Mode.overwrite,
    precision: Annotated[
        str | None, typer.Option(help="32, 16-mixed or bf16-mixed; left out: as trained on a GPU.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1; left out: a GPU where there is one.")
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="BYTES", help="Bound of what grows with the width, such as 500MB or 2GiB."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from the finished rows of a run that was stopped."),
    ] = False,
    keep: Annotated[
        bool,
        typer.Option(
            help="Keep finished rows beside OUT until it is whole, to be resumed; --no-keep not with --resume."
        ),
    ] = True,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Only part I (from 0) of N of the rows, for `geoseg merge`; with --scores where that is to "
            "make anything of scores.",
        ),
    ] = None,
    aoi: AoiFile = None,
    bands: Annotated[
        str | None,
        typer.Option(
            help="Bands of the image in the model's order: names or numbers, as in red,green,4."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Predict the classes of an image as a GeoTIFF, or as polygons.

    The map is cloud-optimised and on the grid of the image. The image must have the bands and the dtype that the model was trained on. Where its pixels have another size on the ground than those of the training, --resolution trained brings it to that size first.

    A run that was stopped, or killed, goes on where it was when it is called again in the same way with --resume. With --shard several machines share an image: each writes a part of the map's rows, and `geoseg merge` joins them.
    """
    with told_briefly(debug=debug, name="predict"):
        if resume and not keep:
            raise ConfigError(
                "--resume goes on from finished rows that are kept, and with --no-keep none are; leave one of "
                "the two out"
            )
        check_names([out])
        refuse_inputs([out], [image, bundle])
        if shard is not None:
            _refuse_of_merge(out, confidence=confidence, entropy=entropy)
        store = store_for(out, scores=scores, confidence=confidence, entropy=entropy, mode=mode)
        flags = {
            "size": size,
            "stride": stride,
            "blend": blend,
            "batch_size": batch_size,
            "workers": workers,
            "tta": tta,
            "resolution": resolution.value,
            "precision": precision,
            "device": device,
            "max_memory": bytes_of(max_memory),
            "keep": keep,
        }
        given = {key: value for key, value in flags.items() if value is not None}
        part = shard_of(shard)
        _predict(bundle, _scene(image, bands, aoi), store, given, resume=resume, shard=part)
        typer.echo(out)


def _refuse_of_merge(out: str, *, confidence: bool, entropy: bool) -> None:
    """Refuse what a part of a map does not hold, but what is made of all parts."""
    given = {"--confidence": confidence, "--entropy": entropy}
    if wrong := [flag for flag, value in given.items() if value]:
        raise ConfigError(
            f"{', '.join(wrong)}: a part of a map holds ids and scores only; predict it with --scores, and "
            f"give {' '.join(wrong)} to `geoseg merge`"
        )
    if not out.lower().endswith((".tif", ".tiff")):
        raise ConfigError(
            f"{out}: a part of a map is a GeoTIFF; give it a name that ends with .tif, and this one to "
            "`geoseg merge`"
        )


def _scene(image: str, bands: str | None, aoi: str | None) -> Scene:
    """The image as a scene, opened and looked at."""
    import geoseg.sources  # noqa: F401 - every kind that a file may name
    from geoseg.scene import Scene
    from geoseg.sources.base import RasterSource, raster_source
    from geoseg.sources.geotiff import GeoTIFFSource

    described = image.lower().endswith((".yaml", ".yml"))
    source = RasterSource.from_yaml(Path(image)) if described else raster_source(image)
    if bands is not None:
        if not isinstance(source, GeoTIFFSource):
            raise ConfigError(
                f"{image}: --bands chooses bands of a file such as a GeoTIFF, but this is no such file; "
                "leave it out"
            )
        source = source.model_copy(update={"bands": bands_of(bands)})
    scene = Scene.of(source, aoi=aoi, id=image)
    scene.check()
    return scene


def _predict(
    bundle: str,
    scene: Scene,
    store: LabelStore,
    given: dict[str, Any],
    *,
    resume: bool,
    shard: tuple[int, int] | None,
) -> None:
    from geoseg.learner.exported import is_exported, open_model
    from geoseg.learner.learner import Learner
    from geoseg.learner.training import Prediction

    options = Prediction.model_validate(given)
    model = (
        open_model(bundle, device=options.device) if is_exported(bundle) else Learner.load(bundle)
    )
    model.predict_as(options, scene, store, resume=resume, shard=shard)
