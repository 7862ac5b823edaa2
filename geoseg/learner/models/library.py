"""segmentation-models-pytorch and timm, imported when a network of theirs is asked for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from geoseg.errors import ConfigError

_OWN = {"encoder_name", "encoder_weights", "in_channels", "classes", "kwargs"}
"""What `build` gives by its own arguments."""
_NOT_LOGITS = {"activation", "aux_params", "upsampling"}
"""What would give something else than logits at the size of the image."""
_OF_TIMM = {"drop_path_rate", "drop_rate", "img_size"}
"""Options of timm's encoders; those that do not know one say so."""


def smp() -> Any:
    """The module segmentation_models_pytorch.

    Raises:
        ConfigError: It, or what it needs, is not installed, or torchvision does not fit torch.
    """
    try:
        return importlib.import_module("segmentation_models_pytorch")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"networks with an encoder need segmentation-models-pytorch and timm, but {error.name} is not "
            "installed; pip install 'geoseg[models]', or use the built-in network 'unet'"
        ) from error
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        raise ConfigError(
            "segmentation-models-pytorch is installed but cannot be imported "
            f"({str(error).splitlines()[0]}); most often torchvision is of another build than torch: "
            "install both from the same index, such as pip install torch torchvision --index-url "
            "https://download.pytorch.org/whl/cpu"
        ) from error


def known_encoders(architecture: str = "unet") -> tuple[str, ...]:
    """The names of all encoders that are installed, sorted; those of timm begin with "tu-".

    An architecture does not take every one: `build` tells.

    Args:
        architecture: "dpt" has those of timm only.

    Raises:
        ConfigError: The extra `models` is not installed.
    """
    of_timm = {f"tu-{name}" for name in _timm().list_models()}
    own = set() if architecture == "dpt" else set(smp().encoders.get_encoder_names())
    return tuple(sorted(of_timm | own))


def check_encoder(architecture: str, encoder: str) -> None:
    """See that there is an encoder of this name.

    Raises:
        ConfigError: There is none; the text tells the nearest.
    """
    if encoder.startswith("tu-"):
        if _timm().is_model(encoder.removeprefix("tu-")):
            return
    elif architecture != "dpt" and encoder in smp().encoders.get_encoder_names():
        return
    known = known_encoders(architecture)
    same = [f"tu-{encoder}"] if f"tu-{encoder}" in known else []
    near = same or get_close_matches(encoder, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(
        f"there is no encoder {encoder!r} for {architecture!r}{hint} All {len(known)} are listed by "
        "geoseg.learner.models.known_encoders()"
    )


def known_options(architecture: str, encoder: str) -> set[str]:
    """The names of options that a network has."""
    own = set(inspect.signature(_class(architecture)).parameters) - _OWN - _NOT_LOGITS
    return own | _OF_TIMM if encoder.startswith("tu-") else own


def completed(architecture: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options, with those that follow from the depth of the encoder."""
    known = inspect.signature(_class(architecture)).parameters
    whole = dict(options)
    depth = options.get("encoder_depth", known["encoder_depth"].default)
    channels = known["decoder_channels"].default if "decoder_channels" in known else None
    if isinstance(channels, tuple) and depth in range(1, len(channels)):
        whole.setdefault("decoder_channels", channels[-depth:])
    if architecture == "pspnet" and isinstance(depth, int):
        whole["upsampling"] = 2**depth
    return whole


def made(architecture: str, encoder: str, *, pretrained: bool, **options: Any) -> Any:
    """A network as the library makes it; its errors pass through."""
    # The two families of encoders have other words for the same.
    of_timm: Any = True if encoder.startswith("tu-") else "imagenet"
    weights = of_timm if pretrained else None
    return _class(architecture)(encoder_name=encoder, encoder_weights=weights, **options)


def _class(architecture: str) -> Any:
    return smp().MODEL_ARCHITECTURES_MAPPING[architecture]


def _timm() -> Any:
    smp()  # whose errors tell the cure
    return importlib.import_module("timm")
