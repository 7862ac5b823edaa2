"""Scenes as a script, a LightningCLI file or a Hydra file gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter
from torch.utils.data import Dataset

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.scene import Scene
from geoseg.spec import Spec

# LightningCLI knows no class path of a parametrised generic, so that the data set has no type argument.
Given = Dataset | Sequence[Scene | Mapping[str, Any] | str]  # type: ignore[type-arg]
"""Scenes, their fields as plain values, or YAML files of them; or a map-style data set."""
Samples = Sequence[Scene] | Dataset[dict[str, Any]]
"""Scenes, or a map-style data set with the keys `image`, `mask` and `valid`."""

_Kind = TypeVar("_Kind")
_SCENES = TypeAdapter(tuple[Scene, ...])


def samples_of(given: Given) -> Samples:
    """The same with plain values and files made Scenes; what needs nothing of that stays as it is.

    Raises:
        ConfigError: A file cannot be read, or this is no list of scenes.
        pydantic.ValidationError: Keys or values are wrong; the text has the number of the scene.
    """
    if isinstance(given, Dataset):
        return given
    if isinstance(given, Scene | str | Mapping) or not given:
        raise ConfigError("expected a list of at least one scene, as in [scene], or a data set")
    if any(isinstance(part, Dataset) for part in given):
        raise ConfigError(
            "expected scenes or a data set, but got a list with a data set in it; pass the data set itself, "
            "and several as torch.utils.data.ConcatDataset([...])"
        )
    if all(isinstance(scene, Scene) for scene in given):
        return given  # type: ignore[return-value]
    return _SCENES.validate_python(
        [Scene.from_yaml(scene) if isinstance(scene, str) else plain(scene) for scene in given]
    )


def some(given: _Kind) -> _Kind | None:
    """What is given to validate on; None for an empty list."""
    listed = isinstance(given, Sequence) and not isinstance(given, str)
    return None if listed and not given else given


def with_classes(samples: Samples, classes: ClassMap) -> Samples:
    """Scenes whose labels name no classes get these; all others stay as they are."""
    if isinstance(samples, Dataset):
        return samples
    return [_filled(scene, classes) for scene in samples]


def plain(value: Any) -> Any:
    """Any mappings and sequences within, such as Hydra's, as dicts and lists."""
    if isinstance(value, Spec | str):
        return value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, Sequence) else value


def _filled(scene: Scene, classes: ClassMap) -> Scene:
    if scene.labels is None or scene.labels.classes is not None:
        return scene
    labels = scene.labels.model_copy(update={"classes": classes})
    return scene.model_copy(update={"labels": labels})
