"""Bundles to files and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from geoseg import yamltext
from geoseg.errors import BundleError
from geoseg.learner.bundle.archive import pack, unpack
from geoseg.learner.bundle.info import BundleInfo
from geoseg.learner.bundle.manifest import Manifest, Member
from geoseg.learner.bundle.mlm import mlm_item
from geoseg.learner.bundle.texts import json_bytes, json_value, shortly, yaml_fields

S = TypeVar("S", BundleInfo, Manifest)

_WEIGHTS, _INFO, _HISTORY = "model.safetensors", "geoseg.yaml", "history.json"
_MLM, _MANIFEST = "mlm.json", "manifest.json"
_LAYOUTS = {
    "geoseg-bundle/1": (_WEIGHTS, _INFO),
    "geoseg-bundle/2": (_MANIFEST, _INFO, _HISTORY, _MLM, _WEIGHTS),
}
"""Format to its members in their order. Format 1 has neither manifest nor history."""
_TEXT = 16 << 20
"""Bytes of a member that is text, at most: far more than any has, and read in a moment."""


def save_bundle(uri: str, info: BundleInfo, weights: Mapping[str, Tensor]) -> None:
    """Write a bundle under a temporary name and rename it when whole.

    Equal infos and weights give equal bytes; no clock time goes in. Always of the newest format.

    Args:
        uri: A local path; missing folders are made.
        info: Goes in as YAML, its history as JSON.
        weights: Goes in as safetensors.

    Raises:
        BundleError: Among the weights is what safetensors cannot hold.
        StoreError: The place cannot be written.
    """
    info = info.model_copy(update={"format": "geoseg-bundle/2"})
    tensors = _tensors(uri, weights)
    fields = info.model_dump(mode="json", by_alias=True)
    history = fields.pop("history")
    told = {_INFO: "the model and its data", _HISTORY: "numbers of each epoch"}
    digest = Member.of(tensors).sha256
    members = {
        _INFO: yamltext.dump(fields).encode(),
        _HISTORY: json_bytes(history),
        _MLM: json_bytes(mlm_item(info, weights, digest=digest, members=told)),
        _WEIGHTS: tensors,
    }
    manifest = Manifest.of(members).model_dump(mode="json")
    pack(uri, {_MANIFEST: json_bytes(manifest), **members})


def load_bundle(uri: str) -> tuple[BundleInfo, dict[str, Tensor]]:
    """What a bundle holds: (info, weights). No code in it is run, whatever it holds.

    Raises:
        BundleError: The file is missing, is no bundle, is damaged, or is of a newer geoseg.
    """
    texts = (_MANIFEST, _INFO, _HISTORY, _MLM)
    members = unpack(uri, tuple(_LAYOUTS.values()), most=dict.fromkeys(texts, _TEXT))
    _check_manifest(uri, members)
    fields = yaml_fields(uri, _INFO, members[_INFO])
    _check_format(uri, fields.get("format"), tuple(members))
    if _HISTORY in members:
        if "history" in fields:
            raise BundleError(f"{uri}: its {_INFO} has a history, expected in {_HISTORY} only")
        fields["history"] = json_value(uri, _HISTORY, members[_HISTORY])
    return _validated(uri, BundleInfo, fields, _INFO), _weights(uri, members[_WEIGHTS])


def _check_manifest(uri: str, members: Mapping[str, bytes]) -> None:
    if _MANIFEST not in members:
        return
    manifest = _validated(uri, Manifest, json_value(uri, _MANIFEST, members[_MANIFEST]), _MANIFEST)
    others = {name: content for name, content in members.items() if name != _MANIFEST}
    if problem := manifest.problem(others):
        raise BundleError(
            f"{uri}: is damaged or has been changed: {problem}; copy it anew from where it was made"
        )


def _check_format(uri: str, found: Any, names: tuple[str, ...]) -> None:
    """See that the format is known, and its members are those that are there."""
    if not isinstance(found, str) or found not in _LAYOUTS:
        raise BundleError(
            f"{uri}: its format is {str(found)[:40]!r}, expected one of: {', '.join(_LAYOUTS)}; it may be "
            "of a newer geoseg: update this one"
        )
    if _LAYOUTS[found] != names:
        raise BundleError(
            f"{uri}: a bundle of the format {found!r} has {', '.join(_LAYOUTS[found])}, but this one "
            f"has {', '.join(names)}; copy it anew from where it was made"
        )


def _validated(uri: str, kind: type[S], value: Any, name: str) -> S:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BundleError(
            f"{uri}: its {name} is not understood ({f'{place}: ' if place else ''}{first['msg']}); it may "
            "be of a newer geoseg"
        ) from error


def _weights(uri: str, content: bytes) -> dict[str, Tensor]:
    try:
        return load(content)
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise BundleError(
            f"{uri}: its {_WEIGHTS} cannot be read: {shortly(error)}; copy the bundle anew"
        ) from error


def _tensors(uri: str, weights: Mapping[str, Tensor]) -> bytes:
    """The weights as safetensors, sorted by name; tied ones are written once for each name."""
    for name, value in weights.items():
        if not isinstance(value, Tensor):
            raise BundleError(
                f"{uri}: the model's state holds {type(value).__name__} as {name!r}, expected tensors "
                "only; take it out of the network's state_dict()"
            )
    try:
        return save({n: weights[n].detach().cpu().contiguous().clone() for n in sorted(weights)})
    except (SafetensorError, RuntimeError, ValueError, KeyError) as error:
        raise BundleError(f"{uri}: the weights cannot be written: {shortly(error)}") from error
