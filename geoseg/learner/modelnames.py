"""The names of networks, told apart without torch: for options that are written down."""

from __future__ import annotations

from difflib import get_close_matches

from geoseg.errors import ConfigError

BUILT_IN = "unet"
"""The built-in network; with an encoder the name is that of an architecture too."""
CUSTOM = "custom"
"""A module that is given in Python."""
ARCHITECTURES = (
    "deeplabv3",
    "deeplabv3plus",
    "dpt",
    "fpn",
    "linknet",
    "manet",
    "pan",
    "pspnet",
    "segformer",
    "unet",
    "unetplusplus",
    "upernet",
)
"""Architectures of segmentation-models-pytorch, each with any encoder that it takes."""


def known_models() -> tuple[str, ...]:
    """Every name that a model can have; "/ENCODER" stands for an encoder's name.

    >>> known_models()[:3]
    ('custom', 'unet', 'deeplabv3/ENCODER')
    """
    return (CUSTOM, BUILT_IN, *(f"{name}/ENCODER" for name in ARCHITECTURES))


def model_parts(name: str, *, encoder: str | None = None) -> tuple[str, str | None]:
    """A model's name as (architecture, encoder).

    Encoders are not looked up: which there are, hangs on the versions of segmentation-models-pytorch
    and timm that are installed; `geoseg.learner.models.build` does.

    >>> model_parts("unet/resnet34")
    ('unet', 'resnet34')
    >>> model_parts("deeplabv3plus", encoder="tu-convnext_tiny")
    ('deeplabv3plus', 'tu-convnext_tiny')
    >>> model_parts("unet")
    ('unet', None)

    Args:
        name: "unet", "custom", an architecture, or an architecture and an encoder with a slash between.
        encoder: The encoder, where the name has none.

    Returns:
        The encoder is None for the built-in network and for "custom" only.

    Raises:
        ConfigError: There is no such name, it lacks an encoder, or has one too many.
    """
    architecture, slash, named = name.partition("/")
    if architecture not in (CUSTOM, *ARCHITECTURES):
        _refuse(name, architecture)
    if slash and (not named or "/" in named):
        raise ConfigError(
            f"the model {name!r} is not understood; expected ARCHITECTURE/ENCODER, such as "
            f"'{architecture}/resnet34'"
        )
    if named and encoder is not None and encoder != named:
        raise ConfigError(
            f"the model {name!r} names the encoder {named!r}, but the option encoder is {encoder!r}; "
            "give one of the two"
        )
    found = named or encoder
    if architecture == CUSTOM and found:
        raise ConfigError(f'the model "custom" brings its own encoder; leave out {found!r}')
    if not found and architecture not in (CUSTOM, BUILT_IN):
        example = "tu-vit_small_patch16_224" if architecture == "dpt" else "resnet34"
        raise ConfigError(
            f"the model {name!r} needs an encoder, such as '{architecture}/{example}'"
        )
    return architecture, found or None


def _refuse(name: str, architecture: str) -> None:
    """Say which names there are, and which is near: "deeplabv3+" is what many call "deeplabv3plus"."""
    spelt = architecture.lower().replace("+", "plus")
    near = get_close_matches(spelt, (CUSTOM, *ARCHITECTURES), n=1)
    hint = f"; did you mean {name.replace(architecture, near[0], 1)!r}?" if near else ""
    raise ConfigError(f"there is no model {name!r}; known: {', '.join(known_models())}{hint}")
