"""A `Standardize` at the end of a scene's image: known to the model, and never applied twice."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.errors import BundleError, ConfigError
from geoseg.scene import Scene
from geoseg.sources.base import RasterSource
from geoseg.sources.transformed import TransformedSource
from geoseg.sources.transforms.scaling import Standardize
from geoseg.sources.warp import WarpedSource
from geoseg.spec import Spec
from geoseg.warn import warn


def standardize_of(image: RasterSource) -> Standardize | None:
    """The Standardize that an image ends with; None where it ends with something else."""
    if isinstance(image, TransformedSource) and image.transforms:
        last = image.transforms[-1]
        return last if isinstance(last, Standardize) else None
    return standardize_of(image.source) if isinstance(image, WarpedSource) else None


def common_standardize(scenes: Sequence[Scene]) -> Standardize | None:
    """The Standardize that the images of all training scenes end with; None where none has one.

    Raises:
        ConfigError: Only some have one, or they differ.
    """
    first, *others = scenes
    expected = standardize_of(first.image)
    for scene in others:
        found = standardize_of(scene.image)
        if found != expected:
            raise ConfigError(
                f"scene {scene.id!r}: its image ends with {told(found)}, but that of {first.id!r} ends "
                f"with {told(expected)}; give all training scenes the same, e.g. "
                "Standardize.of([image, image, ...])"
            )
    return expected


def told(standardize: Standardize | None) -> str:
    """What an error calls it."""
    if standardize is None:
        return "no Standardize"
    mean, std = (
        ", ".join(f"{n:.6g}" for n in values) for values in (standardize.mean, standardize.std)
    )
    return f"Standardize(mean=({mean}), std=({std}))"


def warn_of_hidden(scenes: Sequence[Scene]) -> None:
    """Tell of training scenes with a Standardize that a bundle knows nothing of.

    Warns:
        UserWarning: One stands elsewhere than at the end of an image.
    """
    hidden = [scene.id for scene in scenes if _holds_standardize(_without(scene.image))]
    if hidden:
        warn(
            f"{len(hidden)} of {len(scenes)} scenes, first {hidden[0]!r}, have a Standardize that is not "
            "the last transform of their image: the model does not know of it, and images to predict "
            "must come with it; put it last"
        )


def without_standardize(scene: Scene) -> Scene:
    """The scene with its image in the units that it has before the Standardize at its end."""
    return scene.model_copy(update={"image": _without(scene.image)})


def with_standardize(scene: Scene, standardize: Standardize | None) -> Scene:
    """The scene as a model reads it whose training scenes ended with this Standardize, or with none.

    A scene that ends with the same one is read as it is; one with none gets it.

    Raises:
        BundleError: The scene ends with another one, or holds one elsewhere.
    """
    found = standardize_of(scene.image)
    if found == standardize:
        return scene
    if found is not None:
        own = "their own units" if standardize is None else told(standardize)
        raise BundleError(
            f"scene {scene.id!r}: its image ends with {told(found)}, but the model was trained on "
            f"pixels in {own}; leave it out: the model does what is needed by itself"
        )
    if _holds_standardize(scene.image):
        raise BundleError(
            f"scene {scene.id!r}: its image holds a Standardize that is not the last transform, and the "
            f"model would apply {told(standardize)} on top; leave it out"
        )
    return scene.model_copy(update={"image": _with(scene.image, standardize)})


def _without(image: RasterSource) -> RasterSource:
    if standardize_of(image) is None:
        return image
    if isinstance(image, TransformedSource) and image.transforms:
        return image.model_copy(update={"transforms": image.transforms[:-1]})
    inner: RasterSource = _without(image.source)  # type: ignore[attr-defined]
    return image.model_copy(update={"source": inner})


def _with(image: RasterSource, standardize: Standardize | None) -> RasterSource:
    if isinstance(image, TransformedSource):
        return image.model_copy(update={"transforms": (*image.transforms, standardize)})
    # A kind without transforms: on its own grid a warp is a plain read.
    return WarpedSource.model_validate(
        {"source": image, "onto": image.grid, "resampling": "nearest", "transforms": (standardize,)}
    )


def _holds_standardize(value: object) -> bool:
    """Whether a Standardize is anywhere in a value's fields."""
    if isinstance(value, Standardize):
        return True
    if isinstance(value, tuple):
        return any(_holds_standardize(part) for part in value)
    if isinstance(value, Spec):
        return any(_holds_standardize(getattr(value, name)) for name in type(value).model_fields)
    return False
