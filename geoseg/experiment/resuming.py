"""A run that was stopped: what it takes to go on with it, and a word where it is replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoseg import yamltext
from geoseg.errors import ConfigError
from geoseg.experiment.places import BEST, BUNDLE, LAST
from geoseg.experiment.spec import Experiment
from geoseg.record import RESOLVED, differences, earlier_facts, parts_so_far, resolved_text
from geoseg.warn import warn

_OF_TRAINING = ("classes", "train", "valid", "training")
"""What the model follows from; how it is scored afterwards may be another way than before."""
_ANY_WAY = ("logger",)
"""Options of the training from which nothing follows; of `workers` it follows which windows share a batch."""
_SHOWN = 60
"""Characters of a value in an error."""


def facts_to_go_on_from(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """What is known of the run in a folder, for the record of the run that goes on with it.

    Raises:
        ConfigError: There is none, it has not finished an epoch, or it is of other settings.
    """
    facts = earlier_facts(folder)
    if facts is None:
        raise ConfigError(
            f"{folder}: holds no run to go on with; leave out `resume` to begin one, or name its `output`"
        )
    _same_settings(experiment, folder)
    if not (folder / LAST).is_file() and not is_trained(facts, folder):
        raise ConfigError(
            f"{folder}: the run there has no {LAST} to go on from, it had finished no epoch; leave out "
            "`resume` to begin anew"
        )
    known = {"parts_before": parts_so_far(facts)}
    return known | ({"bundle": BUNDLE} if is_trained(facts, folder) else {})


def is_trained(facts: dict[str, Any], folder: Path) -> bool:
    """Whether the bundle in a folder is that of its run."""
    return facts.get("bundle") == BUNDLE and (folder / BUNDLE).is_file()


def warn_of_unfinished(folder: Path) -> None:
    """Tell that a run in a folder that was not finished will be replaced, while it is still there.

    Warns:
        UserWarning: It is there.
    """
    facts = earlier_facts(folder)
    if facts is None or facts.get("status") == "finished" or not (folder / LAST).is_file():
        return
    warn(
        f"{folder}: the run there, begun {facts.get('started')}, is not finished ({facts.get('status')}); this "
        "one begins anew and replaces it, `resume` goes on with it"
    )


def remove_checkpoints(folder: Path) -> None:
    """A run that begins anew leaves no state of another one there, which it could be confused with."""
    for name in (LAST, BEST):
        (folder / name).unlink(missing_ok=True)


def _same_settings(experiment: Experiment, folder: Path) -> None:
    file = folder / RESOLVED
    own = resolved_text(experiment)
    if own is None and not file.is_file():
        return  # scenes with arrays have no text: what the checkpoint tells has to do
    if own is None or not file.is_file():
        raise ConfigError(
            f"{folder}: the run there cannot be compared with this experiment: scenes of one of them hold arrays, "
            "which no file tells of; leave out `resume` to begin anew"
        )
    kept = resolved_text(Experiment.from_yaml(file)) or ""
    found = list(differences(_of_training(kept), _of_training(own)))
    if found:
        told = "; ".join(
            f"{path} is {_shown(there)} there and {_shown(here)} here"
            for path, there, here in found[:2]
        )
        more = f"; and {len(found) - 2} more" if len(found) > 2 else ""  # noqa: PLR2004
        raise ConfigError(
            f"{folder}: the run there has other settings: {told}{more}; give the same to go on with it, or "
            "leave out `resume` to begin anew"
        )


def _of_training(text: str) -> dict[str, Any]:
    tree = yamltext.load(text)
    found = {key: tree[key] for key in _OF_TRAINING}
    options = found["training"].items()
    return found | {"training": {key: value for key, value in options if key not in _ANY_WAY}}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
