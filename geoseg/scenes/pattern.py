"""Scenes of all files with names of one pattern."""

from __future__ import annotations

import glob
import os
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from geoseg.errors import SceneError
from geoseg.placed import PlacedText, is_path, placed
from geoseg.scene import Scene
from geoseg.scenes.many import Entry, ManyScenes
from geoseg.scenes.wildcards import fill, find, unfilled


def _below_its_folder(value: Any, info: ValidationInfo) -> Any:
    """A relative pattern is meant from its file's folder, whose name has no wildcards."""
    folder = (info.context or {}).get("base")
    if isinstance(value, PlacedText):
        folder = value.folder
    if not isinstance(value, str) or folder is None:
        return value
    return placed(value, glob.escape(folder))


def _beside_its_file(value: Any, info: ValidationInfo) -> Any:
    """A relative name is meant from its file's folder, whose name has nothing to fill in."""
    folder = (info.context or {}).get("base")
    if isinstance(value, PlacedText):
        folder = value.folder
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or folder is None:
        return text
    return placed(text, unfilled(folder))


def _local(pattern: str) -> str:
    if not is_path(pattern):
        raise ValueError(f"{pattern}: only local folders are searched; list the files in a table")
    return pattern


def _labels_are_a_name(value: Any) -> Any:
    if isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - pydantic takes no TypeError
            'under `glob` labels are the name of a file, such as labels: "tiles/{1}_mask.tif", with `mapping` '
            "or `class_by` beside it; for other options of labels list the scenes one by one, each with its "
            "labels, and for other files of each scene use a `table`"
        )
    return value


_Template = Annotated[str, BeforeValidator(_beside_its_file)]


class ScenePattern(ManyScenes):
    """A scene of each image file that a pattern names; `{1}` is what its first wildcard stands for.

    ```yaml
    train: {glob: "tiles/*_image.tif", labels: "tiles/{1}_mask.tif"}
    ```
    """

    glob: Annotated[str, BeforeValidator(_below_its_folder), AfterValidator(_local)] = Field(
        min_length=1
    )
    """Names of the images: `*`, `?`, `[abc]` within a folder, `**` for folders below."""
    labels: Annotated[_Template | None, BeforeValidator(_labels_are_a_name)] = None
    """The label file of each, raster or vector by its suffix: a name with `{1}`, `{2}`, `{stem}`."""
    aoi: _Template | None = None
    """The area of interest of each, or one for all: a vector file."""
    id: str = "{stem}"
    """The names of the scenes; `{stem}` is the image's file name without its suffix."""

    @model_validator(mode="after")
    def _shares_of_a_split(self) -> Self:
        if self.split is not None and self.shares is None:
            raise ValueError(
                f"split: {self.split} needs shares, such as shares: {{train: 0.8, valid: 0.2}}; a "
                "pattern does not know which scene is for what"
            )
        return self

    def scenes(self) -> tuple[Scene, ...]:
        """The scenes, sorted by the path of their image.

        Raises:
            SceneError: No file has such a name, files are missing, or two scenes have one id.
        """
        found = find(self.glob)
        if not found:
            raise SceneError(
                f"{self.glob}: no file has such a name; see that the folder is right (relative ones are "
                "meant from the experiment's file) and mind capital letters"
            )
        entries = [self._entry(path, values) for path, values in found.items()]
        return self.made(entries, self.glob)

    def _entry(self, path: str, values: dict[str, str]) -> Entry:
        labels, aoi = (
            None if template is None else fill(template, values, name)
            for name, template in (("labels", self.labels), ("aoi", self.aoi))
        )
        id_ = fill(self.id, values, "id")
        return Entry(path, id_, path, labels, aoi, class_by=None, mapping=None)
