"""The names of networks, told apart without torch: for options that are written down."""

from __future__ import annotations

from difflib import get_close_matches

from geoseg.errors import ConfigError

BUILT_IN = "unet"
"""The built-in network; with an encoder the name is that of an architecture too."""
CUSTOM = "custom"
"""A module that is given in Python."""
VOLUMES = "unet3d"
"""The built-in network for volumes."""
MONAI = "monai:"
"""What the names of MONAI's networks for volumes begin with."""
MONAI_NETWORKS = (
    "AttentionUnet",
    "BasicUNet",
    "DynUNet",
    "SegResNet",
    "UNet",
    "VNet",
)
"""Networks of MONAI, as its classes are called. Any other is given as a module, built by MONAI's class:
Learner(classes, Training(model="custom", size=(depth, height, width)), model=net)."""
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
    return (CUSTOM, BUILT_IN, *(f"{name}/ENCODER" for name in ARCHITECTURES), *volume_models())


def volume_models() -> tuple[str, ...]:
    """The names of networks for volumes.

    >>> volume_models()[:2]
    ('unet3d', 'monai:AttentionUnet')
    """
    return (VOLUMES, *(f"{MONAI}{name}" for name in MONAI_NETWORKS))


def takes_volumes(name: str) -> bool:
    """Whether a name is that of a network for volumes; whether there is such a one is not looked at.

    >>> takes_volumes("unet3d"), takes_volumes("monai:UNet"), takes_volumes("unet")
    (True, True, False)
    """
    return name == VOLUMES or name.startswith(MONAI)


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
        name: "unet", "custom", an architecture, or an architecture and an encoder with a slash between; or
            a network for volumes.
        encoder: The encoder, where the name has none.

    Returns:
        The encoder is None for the built-in networks, those for volumes and "custom" only.

    Raises:
        ConfigError: There is no such name, it lacks an encoder, or has one too many.
    """
    if takes_volumes(name):
        return _volume_model(name, encoder=encoder), None
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


def _volume_model(name: str, *, encoder: str | None) -> str:
    if name not in volume_models():
        near = get_close_matches(name.lower(), {known.lower() for known in volume_models()}, n=1)
        right = [known for known in volume_models() if near and known.lower() == near[0]]
        hint = f"; did you mean {right[0]!r}?" if right else ""
        raise ConfigError(
            f"there is no model {name!r}; known for volumes: {', '.join(volume_models())}{hint}; give any "
            'other network as a module: Learner(classes, Training(model="custom", size=(depth, height, '
            "width)), model=net)"
        )
    if encoder is not None:
        raise ConfigError(f"the model {name!r} takes no encoder; leave out {encoder!r}")
    return name


def _refuse(name: str, architecture: str) -> None:
    """Say which names there are, and which is near: "deeplabv3+" is what many call "deeplabv3plus"."""
    spelt = architecture.lower().replace("+", "plus")
    near = get_close_matches(spelt, (CUSTOM, *ARCHITECTURES, VOLUMES), n=1)
    hint = f"; did you mean {name.replace(architecture, near[0], 1)!r}?" if near else ""
    raise ConfigError(f"there is no model {name!r}; known: {', '.join(known_models())}{hint}")
