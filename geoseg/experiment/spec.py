"""Experiment: the scenes, the classes and the options of one run, as a YAML file holds them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from geoseg import yamltext
from geoseg.classes import ClassMap
from geoseg.experiment.classnames import with_ids
from geoseg.experiment.labelfile import label_file
from geoseg.experiment.places import store_of
from geoseg.labels.evaluation.scoring import Scoring
from geoseg.learner.training import Prediction, Training, check_tta
from geoseg.scene import Scene
from geoseg.scenes import SceneList
from geoseg.spec import NULL_IS_DEFAULT, Spec, Uri, as_path
from geoseg.window import pair
from geoseg.yamlfile import INCLUDE, read_whole, with_changes


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

    @field_validator("train", "valid", "test", mode="before")
    @classmethod
    def _name_classes(cls, value: Any, info: ValidationInfo) -> Any:
        classes = info.data.get("classes")
        return value if classes is None else with_ids(value, classes)

    @field_validator("train", "valid", "test")
    @classmethod
    def _fill_in_classes(cls, scenes: tuple[Scene, ...], info: ValidationInfo) -> tuple[Scene, ...]:
        classes = info.data.get("classes")  # missing where it is wrong itself
        if classes is None:
            return scenes
        return tuple(_with_classes(scene, classes) for scene in scenes)

    @model_validator(mode="after")
    def _ids_are_names(self) -> Self:
        size, stride = self.prediction.size or self.training.image_size, self.prediction.stride
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
            for uri in store_of(scene, Path(self.output)).outputs:
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
                are taken against their own folder. Null takes back what an included file says: it stands
                for the default of a key that cannot be null itself, and leaves out an entry of a mapping
                such as `model_options`.
            changes: `path=value` each, such as "training.epochs=3", "train.0.labels=b.tif" or
                "training.model_options=null"; relative uris in them are taken against the working
                directory.

        Raises:
            ConfigError: A file cannot be read, is not YAML or includes itself, or a change leads nowhere.
            pydantic.ValidationError: Keys or values are wrong; one line each with its path.
        """
        path = as_path(text_or_path)
        tree = yamltext.load(str(text_or_path)) if path is None else read_whole(path)
        here = os.getcwd()  # noqa: PTH109 - uris are text
        tree = with_changes(tree, changes, folder=here, meaning=label_file)
        base = None if path is None else str(path.resolve().parent)
        return cls.model_validate(tree, context={"base": base, NULL_IS_DEFAULT: True})

    def scenes(self) -> Iterator[tuple[str, Scene]]:
        """(part, scene) of all scenes; parts are "train", "valid" and "test"."""
        for part in ("train", "valid", "test"):
            for scene in getattr(self, part):
                yield part, scene


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
        try:
            known = type(labels).model_validate({**fields, "classes": classes})
        except ValidationError as error:
            told = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ValueError(f"scene {scene.id!r}: {told}") from error
        return scene.model_copy(update={"labels": known})
    if labels.classes != classes:
        raise ValueError(
            f"scene {scene.id!r}: its labels have the classes {list(labels.classes.names)}, but the "
            f"experiment has {list(classes.names)}, or they differ in ids or colours; leave `classes` "
            "out there"
        )
    return scene
