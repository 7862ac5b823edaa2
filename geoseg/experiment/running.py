"""One run of an experiment: check, train, save, predict, score, report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.experiment.checking import check
from geoseg.experiment.places import BUNDLE, KEPT, LAST, REPORT, SCORES, store_of, writable
from geoseg.experiment.resuming import (
    facts_to_go_on_from,
    is_trained,
    remove_checkpoints,
    warn_of_unfinished,
)
from geoseg.experiment.spec import Experiment
from geoseg.labels.base import LabelStore
from geoseg.labels.evaluation.report import Evaluation
from geoseg.outputs import refuse_inputs
from geoseg.record import FACTS, RESOLVED, recorded, refuse_own_file
from geoseg.report import TrainingFacts, write_report

if TYPE_CHECKING:
    from geoseg.learner.learner import Learner


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


def run(experiment: Experiment, *, file: str | None = None, resume: bool = False) -> Results:
    """Check, train, save the bundle, predict the test scenes and score them.

    In the output folder are then `bundle.zip`, `metrics.csv` and `last.ckpt` of the training,
    `predictions/<scene>.tif` and `evaluation.json`; `report.html`, a page about all of it; and what was
    run: `run.yaml`, which can be run again, and `run.json` with times, seeds, versions and the state of
    git. The map of a scene that names a store goes there instead.

    Args:
        experiment: What is run.
        file: Its file, for the record.
        resume: Go on with the run in the output folder that was stopped: from its last finished epoch, or
            with the maps where the model was finished. On a CPU the files are those of a run that was
            never stopped.

    Raises:
        StoreError: The output folder cannot be written.
        ConfigError: A file that is read, or a `run.yaml` of one's own, would be replaced; or there is no
            run to go on with, or one with other settings.
        GeosegError: As in `check`.

    Warns:
        UserWarning: Without `resume`, a run that was not finished is replaced.
    """
    folder = writable(experiment.output)
    stores = {scene.id: store_of(scene, folder) for scene in experiment.test}
    outputs = [str(folder / name) for name in (BUNDLE, SCORES, REPORT, RESOLVED, FACTS, *KEPT)]
    outputs += [uri for store in stores.values() for uri in store.outputs]
    inputs = [uri for _, scene in experiment.scenes() for uri in scene.inputs]
    refuse_inputs(outputs, inputs)
    refuse_own_file(folder)
    for store in stores.values():
        store.check()
    known = facts_to_go_on_from(experiment, folder) if resume else None
    if not resume:
        warn_of_unfinished(folder)
    check(experiment)
    if not resume:
        remove_checkpoints(folder)
    seeds = {"training": experiment.training.seed, "scoring": experiment.scoring.seed}
    with recorded(experiment, folder, seeds=seeds, file=file, known=known) as record:
        learner = _trained(experiment, folder, known)
        record.add(bundle=BUNDLE)
        results = _scored(experiment, learner, folder, stores)
        record.add(**_facts(results))
    return results


def _trained(experiment: Experiment, folder: Path, known: Mapping[str, Any] | None) -> Learner:
    """The learner, with its bundle in the folder.

    Args:
        experiment: What is run.
        folder: Where.
        known: Of a run that is gone on with; None: it begins.
    """
    from geoseg.learner.learner import Learner  # torch and Lightning take seconds to import

    bundle = str(folder / BUNDLE)
    if known is not None and is_trained(dict(known), folder):
        return Learner.load(bundle)
    learner = Learner(experiment.classes, experiment.training)
    resume = None if known is None else str(folder / LAST)
    with _kept_epochs(folder):
        learner.fit(experiment.train, experiment.valid or None, folder=str(folder), resume=resume)
    learner.save(bundle)
    return learner


@contextmanager
def _kept_epochs(folder: Path) -> Iterator[None]:
    """Whoever stops a training is told what of it is kept."""
    try:
        yield
    except BaseException as stop:
        if not isinstance(stop, Exception) and (folder / LAST).is_file():
            stop.add_note("the epochs that were finished are kept; add --resume to go on with them")
        raise


def _facts(results: Results) -> dict[str, Any]:
    """What the record of a run tells of its outcome; paths are relative to it."""
    if results.evaluation is None:
        return {"evaluation": None, "scores": None}
    overall = results.evaluation.to_dict()["overall"]
    scores = {name: overall[name] for name in ("mean_iou", "accuracy", "kappa")}
    return {"evaluation": SCORES, "scores": scores}


def _scored(
    experiment: Experiment, learner: Learner, folder: Path, stores: Mapping[str, LabelStore]
) -> Results:
    """Predict the test scenes, compare, and tell of it all."""
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
    return Results(learner, str(folder / BUNDLE), maps, evaluation, scores, report)


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
