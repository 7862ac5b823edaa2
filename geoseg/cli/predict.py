"""geoseg predict: a map from a bundle and an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg.cli.options import AoiFile, Debug, bands_of, shard_of
from geoseg.cli.told import told_briefly
from geoseg.errors import ConfigError

_REMOVED = "what was not whole yet has been removed"
_KEPT = "the finished rows are kept: run it again with --resume to go on"

if TYPE_CHECKING:
    from geoseg.scene import Scene


def predict(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="The model (bundle.zip).")],
    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="A raster file, map tiles, or a source (YAML).")
    ],
    out: Annotated[str, typer.Argument(metavar="OUT", help="The map to write (.tif).")],
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
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Keep finished rows on disk; go on from those of an earlier run."
        ),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="Only part I (from 0) of N of the rows; `geoseg merge` joins them."
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
    """Predict the classes of an image as a GeoTIFF.

    The map is cloud-optimised and on the grid of the image. The image must have the bands and the dtype that the model was trained on.

    With --resume a run that was stopped, or killed, goes on where it was when it is called again in the same way. With --shard several machines share an image: each writes a part of the map's rows.
    """
    with told_briefly(debug=debug, name="predict", stopped=_KEPT if resume else _REMOVED):
        _check_out(out, image, bundle)
        flags = {
            "size": size,
            "stride": stride,
            "blend": blend,
            "batch_size": batch_size,
            "workers": workers,
            "tta": tta,
        }
        given = {key: value for key, value in flags.items() if value is not None}
        part = shard_of(shard)
        _predict(bundle, _scene(image, bands, aoi), out, given, resume=resume, shard=part)
        typer.echo(out)


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
    out: str,
    given: dict[str, Any],
    *,
    resume: bool,
    shard: tuple[int, int] | None,
) -> None:
    from geoseg.labels.geotiff import GeoTIFFLabelStore
    from geoseg.learner.learner import Learner
    from geoseg.learner.training import Prediction

    options = Prediction.model_validate(given)
    Learner.load(bundle).predict(
        scene,
        GeoTIFFLabelStore(uri=out),
        size=options.size,
        stride=options.stride,
        blend=options.blend,
        batch_size=options.batch_size,
        workers=options.workers,
        tta=options.tta,
        resume=resume,
        shard=shard,
    )


def _check_out(out: str, *inputs: str) -> None:
    """See that the output is named as a GeoTIFF and is none of the inputs.

    Raises:
        ConfigError: It is not.
    """
    if not out.lower().endswith((".tif", ".tiff")):
        raise ConfigError(f"{out}: the map is a GeoTIFF; give it a name that ends in .tif")
    if any(Path(out).resolve() == Path(uri).resolve() for uri in inputs):
        raise ConfigError(f"{out}: is an input too and would be overwritten; choose another name")
