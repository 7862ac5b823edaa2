"""Files that a command takes scenes from: an experiment, or one scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.errors import ConfigError

if TYPE_CHECKING:
    from geoseg.scene import Scene


def scenes_of(file: str) -> Sequence[Scene] | Mapping[str, Sequence[Scene]]:
    """The scenes of an experiment by its parts, or the one of a file that has an image.

    An experiment may get all its keys from files that it includes, so that what is no scene is one.

    Raises:
        ConfigError: There is no such file.
        ValidationError: It describes neither.
    """
    import geoseg.sources  # noqa: F401 - every kind that a file may name
    from geoseg import yamltext
    from geoseg.scene import Scene

    path = Path(file)
    if not path.is_file():
        raise ConfigError(
            f"{file}: there is no such file, expected a scene or an experiment in YAML"
        )
    found = yamltext.load(path.read_text(encoding="utf-8"), name=file)
    if isinstance(found, dict) and "image" in found:
        return [Scene.from_yaml(path)]
    from geoseg.experiment import Experiment

    parts: dict[str, list[Scene]] = {}
    for part, scene in Experiment.from_yaml(path).scenes():
        parts.setdefault(part, []).append(scene)
    return parts
