"""A network that was given in Python: a bundle holds its weights and its name, never its code."""

from __future__ import annotations

from torch import nn

from geoseg.errors import BundleError
from geoseg.learner.bundle.info import BundleInfo
from geoseg.warn import warn


def network_name(network: nn.Module) -> str:
    """`module.Name` of its class."""
    return f"{type(network).__module__}.{type(network).__qualname__}"


def check_network(uri: str, info: BundleInfo, network: nn.Module | None) -> None:
    """See that a network is given where the bundle needs one; whether the weights fit is not looked at.

    Raises:
        BundleError: None is given.

    Warns:
        UserWarning: Its class has another name than the one that was saved. The module it is defined in
            may be another: the same class is `__main__.Net` in a script and `net.Net` when imported.
    """
    if info.training.model != "custom" and info.network is None:
        return
    wanted = _class_of(info.network or "MyNetwork")
    if network is None:
        named = "" if info.network is None else f", {info.network}"
        raise BundleError(
            f"{uri}: holds the weights of a network that was given in Python{named}; pass it: "
            f"Learner.load(uri, model={wanted}(...)); commands take what geoseg.learner.export.export_pt2 "
            'writes of that: export_pt2(learner, "model.pt2")'
        )
    found = _class_of(network_name(network))
    if info.network is not None and found != wanted:
        warn(
            f"{uri}: holds the weights of {info.network}, but {network_name(network)} is given; see that "
            "it computes the same"
        )


def _class_of(name: str) -> str:
    return name.rpartition(".")[2]
