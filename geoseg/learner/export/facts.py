"""What an exported model knows of itself, written into its file as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError, field_validator

from geoseg.errors import BundleError, ConfigError
from geoseg.learner.bundle import BundleInfo
from geoseg.learner.facts import DataFacts, check_meaning
from geoseg.spec import Spec
from geoseg.window import Size, pair

if TYPE_CHECKING:
    from geoseg.learner.learner import Learner

Pixels = Annotated[int, Field(ge=1)]


class ExportFacts(Spec):
    """Everything about an exported model but its graph."""

    format: Literal["geoseg-export/1"] = "geoseg-export/1"
    """What this is."""
    info: BundleInfo
    """What a bundle of the same model holds."""
    dtype: str
    """Of the pixels, as numpy calls it; the model takes their values as float32."""
    channels: Pixels
    """Of the image."""
    size: tuple[Pixels, Pixels] | None = None
    """(height, width) of all images that the model takes; None: any."""

    @field_validator("dtype")
    @classmethod
    def _of_pixels(cls, name: str) -> str:
        if not _is_of_pixels(name):
            raise ValueError(
                f"{name!r} is no type of pixels; expected one such as uint8 or float32"
            )
        return name

    def to_json(self) -> str:
        """As text; `facts_from` brings it back."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), ensure_ascii=False)


def _is_of_pixels(dtype: str) -> bool:
    try:
        return np.dtype(dtype).kind in "uif"
    except TypeError:
        return False


def facts_from(uri: str, text: str | None) -> ExportFacts:
    """The facts in a model file.

    Args:
        uri: The file, for errors.
        text: What it holds under geoseg's name; None: nothing.

    Raises:
        BundleError: geoseg has not written this file, or a newer one has.
    """
    if text is None:
        raise BundleError(
            f"{uri}: does not say what it was trained on, so geoseg has not written it; expected a file "
            "of `geoseg export`"
        )
    try:
        return ExportFacts.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        place, what = ".".join(map(str, first["loc"])), first["msg"]
    except (ValueError, RecursionError) as error:
        place, what = "", str(error)
    raise BundleError(
        f"{uri}: what it says about its data is not understood ({f'{place}: ' if place else ''}{what}); "
        "it may be of a newer geoseg"
    )


def facts_of(
    learner: Learner, *, size: Size | None, dtype: str | None, channels: int | None
) -> ExportFacts:
    """What is known of a model that is to be exported.

    Raises:
        BundleError: The learner has no model yet.
        ConfigError: The dtype or the channels are not known, or are others than those of training; or the
            model takes volumes.
    """
    if learner.training.of_volumes:
        raise ConfigError(
            f"the model {learner.training.model!r} takes volumes, which exported models do not; keep its "
            "bundle: Learner.save"
        )
    info, data = learner.info, learner.data
    if data is not None:
        _refuse_other("channels", channels, info.in_channels)
        channels = info.in_channels
        if data.origin == "scenes":
            _refuse_other("dtype", dtype, data.dtype)
            dtype = data.dtype
        else:
            dtype = _of_files(data, dtype)
    elif channels is None and info.in_channels > 1:  # one mean may serve any number of channels
        channels = info.in_channels
    for name, value, such in (("dtype", dtype, '"uint8"'), ("channels", channels, "3")):
        if value is None:
            flag = such.replace('"', "")
            raise ConfigError(
                f"the {name} of the images that this model is for is not known, since it was not "
                f"trained on known data; pass {name}={such} (geoseg export --{name} {flag}), as it is in "
                "their files"
            )
    try:
        return ExportFacts.model_validate(
            {
                "info": info,
                "dtype": dtype,
                "channels": channels,
                "size": None if size is None else pair(size),
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _of_files(data: DataFacts, dtype: str | None) -> str:
    """The dtype that is asked for, where pixels of it may be what a data set's items were made of.

    Raises:
        ConfigError: They cannot be.
    """
    if dtype is None:
        return data.dtype
    if not _is_of_pixels(dtype):
        return dtype  # refused where the facts are put together
    try:
        check_meaning(data, dtype, "the dtype of the images is")
    except BundleError as error:
        raise ConfigError(str(error)) from error
    return dtype


def _refuse_other(name: str, given: object, known: object) -> None:
    if given is not None and given != known:
        raise ConfigError(
            f"{name} is {given!r}, but the model was trained on {known!r}; leave {name} out"
        )
