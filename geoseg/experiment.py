"""Experiment: one YAML file that says what is trained on what, and on what it is scored."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from geoseg import yamltext
from geoseg.classes import ClassMap
from geoseg.errors import SceneError, StoreError
from geoseg.grid import Grid
from geoseg.labels.base import LabelSource, LabelStore
from geoseg.labels.evaluation.report import Evaluation
from geoseg.labels.evaluation.scoring import Scoring
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner.training import Prediction, Training, check_tta
from geoseg.outputs import local_path, refuse_inputs
from geoseg.record import FACTS, RESOLVED, recorded, refuse_own_file
from geoseg.report import TrainingFacts, write_report
from geoseg.sampling.thinned import Thinned, check_ids, share_of
from geoseg.scene import Scene
from geoseg.scenes import SceneList
from geoseg.spec import Spec, Uri, as_path
from geoseg.window import pair
from geoseg.yamlfile import INCLUDE, read_whole, with_changes

if TYPE_CHECKING:
    from geoseg.learner.learner import Learner

BUNDLE, MAPS, SCORES, REPORT = "bundle.zip", "predictions", "evaluation.json", "report.html"
"""What `run` leaves in the output folder: the model, a folder of label maps, the scores, and a page about
all of it."""

KEPT = ("metrics.csv", "last.ckpt", "best.ckpt")
"""What the training leaves there too."""

_ENOUGH = 64_000_000
"""Pixels of a scene after which `check` has seen enough; larger scenes are thinned out evenly."""


class Experiment(Spec):
    """Scenes to train on and to score on, with the options of both.

    Label sources that name no classes get the experiment's own.
    """

    classes: ClassMap
    """What is told apart; in YAML a list of names is enough."""
    train: SceneList = Field(min_length=1)
    """Scenes to learn from, with labels; patterns and tables of scenes are looked up."""
    valid: SceneList = ()
    """Scenes to measure on after each epoch, with labels."""
    test: SceneList = ()
    """Scenes that are predicted and scored at the end, with labels."""
    training: Training = Training()
    """How the model is trained."""
    prediction: Prediction = Prediction()
    """How test scenes are predicted."""
    scoring: Scoring = Scoring()
    """What is measured of them beside the confusion matrix."""
    output: Uri
    """The folder of all results; it is made when it is missing."""

    @field_validator("train", "valid", "test")
    @classmethod
    def _fill_in_classes(cls, scenes: tuple[Scene, ...], info: ValidationInfo) -> tuple[Scene, ...]:
        classes = info.data.get("classes")  # missing where it is wrong itself
        if classes is None:
            return scenes
        return tuple(_with_classes(scene, classes) for scene in scenes)

    @model_validator(mode="after")
    def _ids_are_names(self) -> Self:
        size, stride = self.prediction.size or self.training.size, self.prediction.stride
        if stride is not None and any(s > w for s, w in zip(pair(stride), pair(size), strict=True)):
            raise ValueError(
                f"prediction.stride {stride} is larger than the window of {size} px: pixels between "
                "windows would be lost; use a stride of at most the size"
            )
        check_tta(self.prediction.tta, pair(size))
        ids = [scene.id for _, scene in self.scenes()]
        twice = sorted(name for name, count in Counter(ids).items() if count > 1)
        if twice:
            raise ValueError(
                f"scene id {', '.join(map(repr, twice))} given twice in train, valid and test; give "
                "each scene an id of its own"
            )
        for scene in self.test:
            if Path(scene.id).name != scene.id or scene.id.startswith(".") or "\\" in scene.id:
                raise ValueError(
                    f"test scene id {scene.id!r} cannot be the name of its map; leave out / and \\"
                )
        return self

    @model_validator(mode="after")
    def _maps_are_apart(self) -> Self:
        owners: dict[str, str] = {}
        for scene in self.test:
            for uri in _store_of(scene, Path(self.output)).outputs:
                owner = owners.setdefault(os.path.realpath(uri), scene.id)
                if owner != scene.id:
                    raise ValueError(
                        f"test scenes {owner!r} and {scene.id!r} both write {uri}, so that one map would "
                        "replace the other; give each a `store` of its own, or leave it out"
                    )
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Of a file, which may include others and then need not be whole."""
        found = handler(schema)
        name = {"type": "string"}
        found["properties"][INCLUDE] = {
            "description": "YAML files on which this one builds: its own values count before theirs.",
            "anyOf": [name, {"type": "array", "items": name}],
        }
        whole = {"required": found.pop("required")}
        return {**found, "anyOf": [whole, {"required": [INCLUDE]}]}

    @classmethod
    def from_yaml(cls, text_or_path: str | Path, *, changes: Sequence[str] = ()) -> Self:
        """The experiment of a YAML text or file.

        Args:
            text_or_path: As of every Spec; a file may `include` others at its top, whose relative uris
                are taken against their own folder.
            changes: `path=value` each, such as "training.epochs=3", "train.0.image=b.tif"; relative uris
                in them are taken against the working directory.

        Raises:
            ConfigError: A file cannot be read, is not YAML or includes itself, or a change leads nowhere.
            pydantic.ValidationError: Keys or values are wrong; one line each with its path.
        """
        path = as_path(text_or_path)
        tree = yamltext.load(str(text_or_path)) if path is None else read_whole(path)
        tree = with_changes(tree, changes, folder=os.getcwd())  # noqa: PTH109 - uris are text
        base = None if path is None else str(path.resolve().parent)
        return cls.model_validate(tree, context={"base": base})

    def scenes(self) -> Iterator[tuple[str, Scene]]:
        """(part, scene) of all scenes; parts are "train", "valid" and "test"."""
        for part in ("train", "valid", "test"):
            for scene in getattr(self, part):
                yield part, scene


@dataclass(frozen=True, slots=True)
class SceneReport:
    """What `check` found in a scene."""

    id: str
    """The scene."""
    part: str
    """Where the experiment uses it: "train", "valid" or "test"."""
    grid: Grid
    """Its reference grid."""
    band_names: tuple[str, ...]
    """Bands of its image."""
    dtype: str
    """Of its image, as numpy calls it."""
    labelled: float
    """Share of its pixels that have a label that counts: inside the AOI, valid and known."""
    shares: dict[str, float]
    """Class name to share of the labelled pixels."""


@dataclass(frozen=True, slots=True)
class Results:
    """What `run` made."""

    learner: Learner
    """The trained model."""
    bundle: str
    """Its file."""
    maps: dict[str, str]
    """Test scene to the file of its predicted labels; empty where a store of one's own writes none."""
    evaluation: Evaluation | None
    """The scores on the test scenes; None without any."""
    scores: str | None
    """The file of the scores."""
    report: str
    """The file of the report."""


def check(experiment: Experiment) -> list[SceneReport]:
    """Open all scenes and read through them once, so that errors come before the work.

    Raises:
        SceneError: Scenes differ in bands or dtype, or a scene has no labelled pixel.
        GeosegError: A file cannot be used; the text says which and why.

    Warns:
        UserWarning: A class does not occur in the training scenes.
    """
    reports = [_look_through(scene, part) for part, scene in experiment.scenes()]
    for report in reports[1:]:
        _check_alike(reports[0], report)
    for name in experiment.classes.names:
        if not any(report.shares[name] for report in reports if report.part == "train"):
            warnings.warn(
                f"the class {name!r} does not occur in the training scenes; no model can learn it",
                stacklevel=2,
            )
    return reports


def run(experiment: Experiment, *, file: str | None = None) -> Results:
    """Check, train, save the bundle, predict the test scenes and score them.

    In the output folder are then `bundle.zip`, `metrics.csv` and `last.ckpt` of the training,
    `predictions/<scene>.tif` and `evaluation.json`; `report.html`, a page about all of it; and what was
    run: `run.yaml`, which can be run again, and `run.json` with times, seeds, versions and the state of
    git. The map of a scene that names a store goes there instead.

    Args:
        experiment: What is run.
        file: Its file, for the record.

    Raises:
        StoreError: The output folder cannot be written.
        ConfigError: A file that is read, or a `run.yaml` of one's own, would be replaced.
        GeosegError: As in `check`.
    """
    folder = _writable(experiment.output)
    stores = {scene.id: _store_of(scene, folder) for scene in experiment.test}
    outputs = [str(folder / name) for name in (BUNDLE, SCORES, REPORT, RESOLVED, FACTS, *KEPT)]
    outputs += [uri for store in stores.values() for uri in store.outputs]
    inputs = [uri for _, scene in experiment.scenes() for uri in scene.inputs]
    refuse_inputs(outputs, inputs)
    refuse_own_file(folder)
    for store in stores.values():
        store.check()
    check(experiment)
    seeds = {"training": experiment.training.seed, "scoring": experiment.scoring.seed}
    with recorded(experiment, folder, seeds=seeds, file=file) as record:
        results = _work(experiment, folder, stores)
        record.add(**_facts(results))
    return results


def _facts(results: Results) -> dict[str, Any]:
    """What the record of a run tells of its outcome; paths are relative to it."""
    if results.evaluation is None:
        return {"evaluation": None, "scores": None}
    overall = results.evaluation.to_dict()["overall"]
    scores = {name: overall[name] for name in ("mean_iou", "accuracy", "kappa")}
    return {"evaluation": SCORES, "scores": scores}


def _work(experiment: Experiment, folder: Path, stores: Mapping[str, LabelStore]) -> Results:
    """Train, save the bundle, predict and score."""
    from geoseg.learner.learner import Learner  # torch and Lightning take seconds to import

    learner = Learner(experiment.classes, experiment.training)
    learner.fit(experiment.train, experiment.valid or None, folder=str(folder))
    bundle = str(folder / BUNDLE)
    learner.save(bundle)
    parts = {
        scene.id: learner.evaluate_as(
            experiment.prediction, experiment.scoring, scene, stores[scene.id]
        )
        for scene in experiment.test
    }
    maps = {name: (store.outputs or ("",))[-1] for name, store in stores.items()}
    evaluation = scores = None
    if parts:
        evaluation, scores = Evaluation.pool(parts), str(folder / SCORES)
        evaluation.save(scores)
    report = str(folder / REPORT)
    _write_report(report, experiment, learner, stores, evaluation)
    return Results(learner, bundle, maps, evaluation, scores, report)


def _write_report(
    uri: str,
    experiment: Experiment,
    learner: Learner,
    stores: Mapping[str, LabelStore],
    evaluation: Evaluation | None,
) -> None:
    facts = TrainingFacts(
        classes=experiment.classes,
        training=experiment.training,
        prediction=experiment.prediction,
        train=experiment.train,
        valid=experiment.valid,
        test=experiment.test,
        history=learner.history,
        histogram=learner.histogram,
        versions=learner.info.versions,
        evaluation=evaluation,
        predictions={name: store.read() for name, store in stores.items() if store.outputs},
    )
    write_report(uri, facts)


def _store_of(scene: Scene, folder: Path) -> LabelStore:
    """Where the map of a test scene goes."""
    return scene.store or GeoTIFFLabelStore(uri=str(folder / MAPS / f"{scene.id}.tif"))


def _with_classes(scene: Scene, classes: ClassMap) -> Scene:
    """The scene with labels that know the classes.

    Raises:
        ValueError: It has no labels, or they have other classes.
    """
    labels = scene.labels
    if labels is None:
        raise ValueError(
            f"scene {scene.id!r} has no labels to learn from or to be scored by; name them, or "
            "predict it with `geoseg predict`"
        )
    if labels.classes is None:
        fields = {name: getattr(labels, name) for name in type(labels).model_fields}
        known = type(labels).model_validate({**fields, "classes": classes})
        return scene.model_copy(update={"labels": known})
    if labels.classes != classes:
        raise ValueError(
            f"scene {scene.id!r}: its labels have the classes {list(labels.classes.names)}, but the "
            f"experiment has {list(classes.names)}, or they differ in ids or colours; leave `classes` "
            "out there"
        )
    return scene


def _labels_of(scene: Scene) -> LabelSource:
    """The labels of a scene that has been given its classes."""
    if scene.labels is None:
        raise SceneError(f"scene {scene.id!r} has no labels; name them")
    return scene.labels


def _look_through(scene: Scene, part: str) -> SceneReport:
    scene.check()
    classes = _labels_of(scene).class_map
    some = Thinned.of(scene, share_of([scene], _ENOUGH))
    known = _counted(some, classes)
    if not some.whole:
        check_ids(scene)
        # Labels may lie between the blocks: only a look at all of them tells that there is none.
        known = known if known.any() else _counted(Thinned.of(scene, 1.0), classes)
    total = int(known.sum())
    if not total:
        raise SceneError(
            f"scene {scene.id!r} ({part}): no pixel has a label that counts; see that image, labels "
            "and AOI overlap and that their nodata is right"
        )
    return SceneReport(
        id=scene.id,
        part=part,
        grid=scene.grid,
        band_names=scene.image.band_names,
        dtype=np.dtype(scene.image.dtype).name,
        labelled=total / (scene.grid.height * scene.grid.width),
        shares=dict(zip(classes.names, (known / total).tolist(), strict=True)),
    )


def _counted(some: Thinned, classes: ClassMap) -> NDArray[np.int64]:
    """(class,) labelled pixels that the blocks of a scene stand for."""
    counts = np.zeros(256, np.int64)
    for window in some:
        ids = some.scene.read(window).labels
        if ids is not None:
            counts += np.bincount(ids.reshape(-1), minlength=256)
    known: NDArray[np.int64] = counts[list(classes.ids)] * some.pixels // some.read
    return known


def _check_alike(first: SceneReport, other: SceneReport) -> None:
    if first.dtype == other.dtype and _same_bands(first.band_names, other.band_names):
        return
    raise SceneError(
        f"scene {other.id!r} has bands ({', '.join(other.band_names)}) of {other.dtype}, but scene "
        f"{first.id!r} has ({', '.join(first.band_names)}) of {first.dtype}; choose the same bands=... "
        "in all images of an experiment"
    )


def _same_bands(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether names agree where both sides have names, and the number in any case."""
    numbered = any(all(name.isdigit() for name in names) for names in (ours, theirs))
    return len(ours) == len(theirs) and (numbered or ours == theirs)


def _writable(uri: str) -> Path:
    """The folder, made if need be.

    Raises:
        StoreError: It cannot be made, or nothing can be written there.
    """
    folder = local_path(uri)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise StoreError(
            f"{uri}: the output folder cannot be written: {error.strerror}; choose another `output`"
        ) from error
