"""What a store holds in a few lines: bands that are alike are told together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_FEW = 14
"""Bands of a kind that are all named."""


def store_facts(paths: str | Sequence[str], *, as_json: bool) -> dict[str, Any]:
    """The facts of a store, or of several together; for people with bands and nodata in lines."""
    from geoseg.convert.summary import summary

    found = summary(paths)
    if as_json:
        return found
    bands = {name: _kinds(kinds) for name, kinds in found["bands"].items()}
    return found | {
        "bands": _alike(bands),
        "bands_in_order": _listed(found["bands_in_order"]),
        "nodata": _alike(found["nodata"]),
    }


def _kinds(kinds: Sequence[Mapping[str, Any]]) -> str:
    """Dtypes and shapes of a band, such as `uint16 120x120 (patches: 2000)`."""
    return "; ".join(
        f"{kind['dtype']} {'x'.join(map(str, kind['shape']))} (patches: {kind['patches']})"
        for kind in kinds
    )


def _alike(told: Mapping[str, Any]) -> dict[str, Any]:
    """{names of bands: what is told of all of them}."""
    names: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    for name, value in told.items():
        names.setdefault(str(value), []).append(name)
        values[str(value)] = value
    return {_listed(names[text]): value for text, value in values.items()}


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _FEW:
        return ", ".join(names)
    return f"{names[0]} to {names[-1]} ({len(names)} bands)"
