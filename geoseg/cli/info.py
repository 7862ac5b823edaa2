"""geoseg info: what a file is, whatever geoseg reads."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from dataclasses import asdict
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg.cli.facts import show_facts
from geoseg.cli.options import AsJson, Debug
from geoseg.cli.storefacts import store_facts
from geoseg.cli.told import told_briefly
from geoseg.cli.volumes.opening import Opening, facts_of, tables_in
from geoseg.errors import ConfigError
from geoseg.urimask import masked_values

if TYPE_CHECKING:
    from geoseg.labels.tifflabels import GeoTIFFLabels
    from geoseg.sources import RasterSource

_ZIP = b"PK\x03\x04"
"""How a zip begins."""
_SCORE = "valid_mean_iou"
_DECODED = 20_000
"""Tiles that are all decoded; of more, a sample is."""


def info(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="A bundle, a raster, map tiles, a zip of volumes, a source or an experiment (YAML), or a "
            "store of patches, of which several shards are told together.",
        ),
    ],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell what a file is.

    A bundle: classes, bands, dtype, statistics, resolution, training with its last and best epoch, pixels
    of each class, versions, and that its checksums agree. A raster: grid, what tells its place, bands and
    which of them are alpha (left out unless asked for by number), dtype, nodata, blocks, overviews, and
    classes and how it was made if geoseg wrote it. Map tiles (.mbtiles): the same and what a look at every tile found (of more
    than 20,000, at some). A store of patches: how many, their bands with shapes and dtypes, size, place, parts
    and labels. A zip of volumes: axes, classes and sizes.
    A source in YAML: bands, dtype and grid. An experiment: its scenes and options.
    """
    with told_briefly(debug=debug, name=paths[0]):
        if len(paths) > 1 or _is_store(paths[0]):
            _refuse_others(paths)
            found = store_facts(paths, as_json=as_json)
        else:
            found = _describe(paths[0])
        show_facts(masked_values(found), as_json=as_json)


def _refuse_others(paths: list[str]) -> None:
    """Refuse what is no store among several paths.

    Raises:
        ConfigError: One is something else.
    """
    if other := [path for path in paths if not _is_store(path)]:
        raise ConfigError(
            f"{other[0]}: is no store of patches; several paths are told of together only if all are shards "
            "of a store"
        )


def _is_store(path: str) -> bool:
    return Path(path, "data.mdb").is_file()


def _describe(path: str) -> dict[str, Any]:
    if path.lower().endswith((".yaml", ".yml")):
        return _source(path) if "type" in _keys(path) else _experiment(path)
    if path.lower().endswith((".onnx", ".pt2")):
        return _exported(path)
    if _is_zip(path) or (path.lower().endswith(".zip") and Path(path).is_file()):
        return facts_of(Opening().open(path)) if tables_in(path) else _bundle(path)
    if path.lower().endswith(".mbtiles"):
        return _tiles(path)
    return _raster(path)


def _bundle(path: str) -> dict[str, Any]:
    from geoseg.learner.bundle import load_bundle

    found, weights = load_bundle(path)
    described = {"kind": "bundle", **found.model_dump(mode="json")}
    described["classes"] = _classes(found.classes)
    described["history"] = _history(described.pop("history"))
    described["weights"] = sum(tensor.numel() for tensor in weights.values())
    # A bundle whose checksums do not agree is not opened.
    return described | {"checksums": None if found.format == "geoseg-bundle/1" else "ok"}


def _exported(path: str) -> dict[str, Any]:
    from geoseg.learner.exported import open_model

    model = open_model(path, device="cpu")
    facts = model.facts.model_dump(mode="json")
    told = facts.pop("info") | {"classes": _classes(model.classes)}
    told["history"] = _history(told["history"])
    return {"kind": f"exported model ({Path(path).suffix[1:]})", **facts, **told}


def _is_zip(path: str) -> bool:
    """Whether a file is one, or was before its end was lost."""
    try:
        with Path(path).open("rb") as file:
            return file.read(4) == _ZIP or zipfile.is_zipfile(path)
    except OSError:  # told by what reads it for good
        return False


def _history(rows: list[dict[str, float | None]]) -> dict[str, Any] | None:
    """The last epoch of a training, and the one with the best mean IoU of the validation."""
    if not rows:
        return None
    measured = [(value, row) for row in rows if (value := row.get(_SCORE)) is not None]
    best = max(measured, key=itemgetter(0))[1] if measured else None
    return {"epochs": len(rows), "last": rows[-1], "best": best}


def _raster(path: str) -> dict[str, Any]:
    from geoseg.errors import StoreError
    from geoseg.grid import Grid
    from geoseg.labels.geotiff import GeoTIFFLabelStore
    from geoseg.rasterpath import placed_by
    from geoseg.sources.files.rasterfile import alphas_of
    from geoseg.sources.handles import open_raster

    file = open_raster(path)
    grid = Grid.of_dataset(file)
    found: dict[str, Any] = {
        "kind": "raster",
        "driver": file.driver,
        "grid": grid.model_dump(mode="json"),
        "bounds": list(grid.bounds),
        "resolution": list(grid.resolution),
        "resolution_m": grid.ground_resolution,
        "georeference": placed_by(file),
        "bands": [name or str(i) for i, name in enumerate(file.descriptions, start=1)],
        "alpha": alphas_of(file),
        "dtype": file.dtypes[0] if len(set(file.dtypes)) == 1 else list(file.dtypes),
        "nodata": file.nodata,
        "blocks": list(file.block_shapes[0]) if file.count else None,
        "compression": None if file.compression is None else file.compression.value.lower(),
        "overviews": file.overviews(1) if file.count else [],
    }
    with suppress(StoreError):  # a raster of any other kind
        labels = GeoTIFFLabelStore(uri=path).read()
        found |= {"classes": _classes(labels.classes), **_made_by(labels)}
    return found


def _made_by(labels: GeoTIFFLabels) -> dict[str, Any]:
    """How a map was made, where it tells that."""
    from geoseg.errors import StoreError

    try:
        made_by = labels.made_by
    except StoreError as error:
        return {"made_by": str(error)}
    return {} if made_by is None else {"made_by": made_by.model_dump(mode="json")}


def _tiles(path: str) -> dict[str, Any]:
    from geoseg.sources.mbtiles import MBTilesSource

    source = MBTilesSource(uri=path)
    # All tiles of a large pyramid would take minutes.
    few = source.preflight(decode="none").tiles <= _DECODED
    report = asdict(source.preflight(decode="all" if few else "sample"))
    described: dict[str, Any] = {"kind": "map tiles"}
    if not report["problems"]:
        grid = source.grid
        described |= {
            "grid": grid.model_dump(mode="json"),
            "resolution_m": grid.ground_resolution,
            "bands": list(source.band_names),
            "dtype": source.dtype.name,
        }
    return described | {key: value for key, value in report.items() if key != "uri"}


def _source(path: str) -> dict[str, Any]:
    from geoseg.sources import RasterSource

    source = RasterSource.from_yaml(Path(path))
    return {"kind": "source", **_of_source(source)}


def _of_source(source: RasterSource) -> dict[str, Any]:
    return {
        "grid": source.grid.model_dump(mode="json"),
        "resolution_m": source.grid.ground_resolution,
        "bands": list(source.band_names),
        "dtype": source.dtype.name,
        "categorical": source.categorical,
    }


def _keys(path: str) -> Any:
    from geoseg import yamltext

    try:
        found = yamltext.load(Path(path).read_text(encoding="utf-8"), name=path)
    except (OSError, UnicodeDecodeError):
        return ()  # told by what reads it for good
    return found if isinstance(found, dict) else ()


def _experiment(path: str) -> dict[str, Any]:
    from geoseg.experiment import Experiment

    found = Experiment.from_yaml(Path(path))
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for part, scene in found.scenes():
        parts[part].append(scene.id)
    return {
        "kind": "experiment",
        "classes": _classes(found.classes),
        **parts,
        "training": found.training.model_dump(mode="json"),
        "prediction": found.prediction.model_dump(mode="json"),
        "output": found.output,
    }


def _classes(classes: Any) -> dict[str, str]:
    """{id: name}, with text as keys as JSON wants it."""
    return {str(c.id): c.name for c in classes.classes}
