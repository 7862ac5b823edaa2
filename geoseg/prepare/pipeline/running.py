"""run: the steps of a pipeline, without those that were done before."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geoseg.errors import GeosegError, SceneError, StoreError
from geoseg.outputs import local_path, written_whole
from geoseg.prepare.pipeline.spec import Pipeline
from geoseg.prepare.pipeline.state import inputs_of, key_of, outputs_of
from geoseg.prepare.pipeline.step import Step
from geoseg.record.versions import versions
from geoseg.urimask import masked, masked_values

MANIFEST, LOG = "pipeline.json", "pipeline.log"
"""What a pipeline leaves in its folder: facts of what was done, and when."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepDone:
    """A step of a pipeline that came to its end, now or before."""

    type: str
    reused: bool
    """Whether it was done before with the same inputs, and its files were still there."""
    seconds: float
    report: dict[str, Any]


@dataclass(frozen=True)
class PipelineReport:
    """What a pipeline came to."""

    manifest: str
    steps: tuple[StepDone, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        return {
            "manifest": self.manifest,
            "steps": [
                {"type": s.type, "reused": s.reused, "seconds": s.seconds, "report": s.report}
                for s in self.steps
            ],
        }


def run(
    pipeline: Pipeline,
    *,
    full_hash: bool = False,
    fresh: bool = False,
    seen: Callable[[StepDone], None] | None = None,
) -> PipelineReport:
    """Do the steps of a pipeline in order; those that were done with the same inputs are not done again.

    A step is known again by its arguments, the version of geoseg, and size and time of change of the
    files that it reads; its own files must be as it left them. What a step that fails had done is kept
    where the step can go on from it. The folder `output` gets `pipeline.log` and `pipeline.json`: inputs,
    versions, seed and reports, without the secrets of uris.

    Args:
        pipeline: What is to be done.
        full_hash: Know inputs by a digest of their bytes instead of by their times of change.
        fresh: Do all steps again, from their beginning.
        seen: Is told of each step that is done.

    Raises:
        GeosegError: A step fails; a note of it says which. The steps before it stand.
        SceneError: A check found errors.
    """
    folder = local_path(pipeline.output)
    folder.mkdir(parents=True, exist_ok=True)
    known = {} if fresh else _known(folder / MANIFEST)
    steps = {_name(number, step): step for number, step in enumerate(pipeline.seeded, start=1)}
    entries = {name: known[name] for name in steps if name in known}
    done = list[StepDone]()
    with _logged(folder / LOG):
        for name, step in steps.items():
            with _named(name):
                inputs = inputs_of(step, full_hash=full_hash)
                entry = _reusable(known.get(name), key_of(step, inputs), step) or _performed(
                    name, step, inputs, fresh=fresh, full_hash=full_hash
                )
            entries[name] = entry
            _write(folder / MANIFEST, pipeline, entries)
            done.append(_done(step, entry, reused=entry is known.get(name)))
            if seen is not None:
                seen(done[-1])
            if not entry["succeeded"]:
                raise SceneError(
                    f"{_as_told(name)}: found errors in the data, see {step.outputs()[0]}; steps after it were "
                    "not done"
                )
    return PipelineReport(str(folder / MANIFEST), tuple(done))


def _name(number: int, step: Step) -> str:
    return f"{number} {step.model_dump()['type']}"


def _reusable(entry: Any, key: str, step: Step) -> dict[str, Any] | None:
    """What is known of a step that was done, where nothing has changed since."""
    if not isinstance(entry, dict) or entry.get("key") != key or not entry.get("succeeded"):
        return None
    if entry.get("outputs") is None or entry["outputs"] != outputs_of(step):
        return None
    _logger.info("%s: done before with the same inputs", ", ".join(step.outputs()))
    return entry


def _as_told(name: str) -> str:
    """As people find it in the file: "step 2, tile"."""
    return f"step {name.replace(' ', ', ', 1)}"


@contextmanager
def _named(name: str) -> Iterator[None]:
    """What fails within is logged, and says which step it was."""
    try:
        yield
    except GeosegError as error:
        _logger.error("%s: %s", name, error)
        error.add_note(f"this was {_as_told(name)}, of the pipeline; steps before it stand")
        raise


def _performed(
    name: str, step: Step, inputs: dict[str, Any], *, fresh: bool, full_hash: bool
) -> dict[str, Any]:
    """Do a step, and tell what is to be written down of it.

    Its inputs are as they were before, so that one that changes meanwhile is noticed the next time.
    """
    _logger.info("%s: begins", name)
    begun = time.monotonic()
    report = step.run_again(fresh=fresh, full_hash=full_hash)
    seconds = round(time.monotonic() - begun, 3)
    _logger.info("%s: done in %.1f s", name, seconds)
    told = {
        "step": step.model_dump(mode="json", by_alias=True),
        "inputs": inputs,
        "report": report.to_dict(),
    }
    return {
        "key": key_of(step, inputs),
        "outputs": outputs_of(step),
        "seconds": seconds,
        "succeeded": step.succeeded(report),
        **masked_values(told, keys=True),
    }


def _done(step: Step, entry: dict[str, Any], *, reused: bool) -> StepDone:
    kind = step.model_dump()["type"]
    return StepDone(kind, reused, 0.0 if reused else entry["seconds"], entry["report"])


def _known(path: Path) -> dict[str, Any]:
    """What the manifest says of steps that were done; nothing where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: cannot be read as a manifest of this pipeline ({error}); remove it, or do all "
            "steps again with fresh (--fresh)"
        ) from error
    steps = found.get("steps") if isinstance(found, dict) else None
    return steps if isinstance(steps, dict) else {}


def _write(path: Path, pipeline: Pipeline, entries: dict[str, Any]) -> None:
    facts = {"seed": pipeline.seed, "versions": versions(), "steps": entries}
    with written_whole(str(path)) as draft:
        draft.write_text(json.dumps(facts, indent=1), encoding="utf-8")


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """What geoseg logs goes to a file too, with the time in UTC."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(_Formatter())
    logger = logging.getLogger("geoseg")
    level = logger.level
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{when} {record.levelname.lower()} {masked(record.getMessage())}"
