"""Which tensors of a file belong where in a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from geoseg.errors import BundleError
from geoseg.learner.models.stem import RGB, adapted
from geoseg.shortlist import some
from geoseg.warn import warn

Make = Callable[[int], nn.Module]
"""The same network for another number of bands, with any weights."""
_WRAPPERS = ("module", "network", "model", "encoder", "backbone", "net", "_orig_mod")
"""First words of names that programs put before those of the network's own parts."""
_ADDED = ("", "encoder.", "encoder.model.")
"""Where the parts of an encoder lie in a whole network."""
_KERNEL = 4
"""Axes of a convolution's weights: (out, in, height, width)."""
_EXAMPLES = 3
"""Names that a warning tells."""


def load_into(
    network: nn.Module, given: Mapping[str, Tensor], *, source: str, bands: int, make: Make
) -> None:
    """Give a network the weights of its encoder, or all of its weights.

    Words that programs put before all names ("module.", "encoder.", ...) do not matter. A first layer
    for other bands is adapted, see `stem`. What has no counterpart, or another shape (such as the last
    layer, for other classes), stays random and is counted in a warning.

    Args:
        network: Is changed.
        given: Tensors by name.
        source: Where they are from, for errors.
        bands: Bands that the network takes.
        make: Tells first layers from others: they change with the bands.

    Raises:
        BundleError: Less than half of the encoder is found (of the network, where it has no encoder).
    """
    own = network.state_dict()
    pairs = _pairs(own, given)
    misfits = {key for key, name in pairs.items() if given[name].shape != own[key].shape}
    taken = {key: given[name] for key, name in pairs.items() if key not in misfits}
    notes = []
    for key, group in _stems(own, bands=bands, make=make) if misfits else ():
        if key not in misfits:
            continue
        kernel = given[pairs[key]]
        if trained := _bands_of(kernel, own[key], group=group):
            taken[key] = adapted(kernel, bands=bands, given=trained)
            notes += [f"its {key} is for {trained} bands, not {bands}"] if trained != RGB else []
    _refuse_another(own, taken, given, source=source)
    network.load_state_dict(dict(taken), strict=False)  # the library's renames in what it gets
    scope = _scope(own, taken)
    notes += [
        *_note("not found in it and stay random", _counted(scope - pairs.keys())),
        *_note("of another shape there and stay random", _counted(misfits - taken.keys())),
        *_note("in it have no place here", _counted(given.keys() - pairs.values())),
    ]
    if notes:
        counted = _counted(scope)
        found = sum(key in taken for key in counted)
        what = "network" if len(scope) == len(own) else "encoder"
        warn(
            f"{source}: {found} of {len(counted)} tensors of the {what} are loaded; {'; '.join(notes)}"
        )


def _pairs(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, str]:
    """{name in the network: name in the file}, for the first words that make the most tensors fit."""
    place = {_plain(key): key for key in own}
    best: dict[str, str] = {}
    most = 0
    for prefix in _prefixes(given):
        for added in _ADDED:
            named = {
                place[plain]: name
                for name in given
                if name.startswith(prefix)
                and (plain := _plain(added + name.removeprefix(prefix))) in place
            }
            fitting = sum(given[name].shape == own[key].shape for key, name in named.items())
            if fitting > most:
                best, most = named, fitting
    return best


def _plain(name: str) -> str:
    """A name in which parts are numbered one way: timm's encoders have "stages_0" for "stages.0"."""
    return re.sub(r"_(?=\d+\.)", ".", name)


def _prefixes(names: Iterable[str]) -> list[str]:
    """Everything that may have been put before the names of a file, the shortest first."""
    found = {""}
    for name in names:
        words = name.split(".")
        for count in range(1, len(words)):
            if words[count - 1] not in _WRAPPERS:
                break
            found.add(".".join(words[:count]) + ".")
    return sorted(found, key=lambda prefix: (len(prefix), prefix))


def _stems(own: Mapping[str, Tensor], *, bands: int, make: Make) -> Iterator[tuple[str, int]]:
    """(name, channels for each band) of the layers that see the image."""
    other = RGB + 1 if bands == RGB else RGB
    with torch.random.fork_rng(devices=[]):
        shapes = {key: tensor.shape for key, tensor in make(other).state_dict().items()}
    for key, tensor in own.items():
        if tensor.ndim == _KERNEL and tensor.shape != shapes.get(key, tensor.shape):
            yield key, (tensor.shape[1] - shapes[key][1]) // (bands - other)


def _bands_of(tensor: Tensor, own: Tensor, *, group: int) -> int:
    """Bands that a first layer was trained on; 0 where it is no such layer."""
    if tensor.ndim != own.ndim or tensor.shape[1] % group:
        return 0
    alike = (tensor.shape[0], *tensor.shape[2:]) == (own.shape[0], *own.shape[2:])
    return tensor.shape[1] // group if alike else 0


def _scope(own: Mapping[str, Tensor], taken: Collection[str]) -> set[str]:
    """What was to be found: the encoder, unless other parts were found as well."""
    encoder = {key for key in own if key.startswith("encoder.")}
    return encoder if encoder and encoder.issuperset(taken) else set(own)


def _refuse_another(
    own: Mapping[str, Tensor], taken: Collection[str], given: Collection[str], *, source: str
) -> None:
    """See that these are weights of such a network."""
    encoder = _counted(key for key in own if key.startswith("encoder.")) or _counted(own)
    found = sum(key in taken for key in encoder)
    if 2 * found < len(encoder):
        raise BundleError(
            f"{source}: only {found} of the {len(encoder)} tensors of the encoder fit; it holds "
            f"{len(given)}, such as {_some(given)}, the network has such as {_some(encoder)}; give the "
            "weights of the same encoder"
        )


def _some(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:2]) or "none"


def _note(what: str, names: Collection[str]) -> Iterator[str]:
    """How many there are, and which, if any."""
    if names:
        yield f"{len(names)} {what} ({some(sorted(names), _EXAMPLES, counted=False)})"


def _counted(names: Iterable[str]) -> list[str]:
    """Without the counters of batch normalisation, which no prediction hangs on."""
    return sorted(name for name in names if not name.endswith("num_batches_tracked"))
