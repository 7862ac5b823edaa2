"""Changes to a tree of plain values, as a command line gives them: `training.epochs=3`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from geoseg import yamltext
from geoseg.errors import ConfigError
from geoseg.placed import place_texts

Meaning = Callable[[str, Mapping[Any, Any], Any], Any]
"""What a value means: (path, the mapping that it is set in, the value) to what is put there."""


def _itself(path: str, node: Mapping[Any, Any], value: Any) -> Any:
    del path, node
    return value


def with_changes(
    tree: Any, changes: Sequence[str], *, folder: str, meaning: Meaning = _itself
) -> Any:
    """The tree with some values set; the one given stays as it is.

    >>> with_changes({"train": [{"id": "a"}]}, ["train.0.id=b", "lr=1e-3"], folder="/")
    {'train': [{'id': 'b'}], 'lr': 0.001}

    Args:
        tree: What a YAML file holds.
        changes: `path=value` each: keys and places in lists (from 0) with dots between, and the value
            in YAML. A key that is not there is made, a place in a list is not.
        folder: Against which relative uris in the values are meant.
        meaning: What a value means where it is set under a key.

    Raises:
        ConfigError: A change is no `path=value`, its value is not YAML, or the path leads nowhere.
    """
    for change in changes:
        path, equals, text = change.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise ConfigError(
                f"--set {change}: expected a path and its value, such as training.epochs=3"
            )
        value = place_texts(_value(text, path), folder)
        tree = _set(tree, keys, value, done=(), meaning=meaning)
    return tree


def _value(text: str, path: str) -> Any:
    """YAML; but a star begins a pattern of names, there being no anchor that it could refer to."""
    if text.lstrip().startswith("*"):
        return text.strip()
    return yamltext.load(text, name=f"--set {path}")


def _set(
    node: Any, keys: Sequence[str], value: Any, *, done: tuple[str, ...], meaning: Meaning
) -> Any:
    """The node with a value below it; only what lies on the way is copied."""
    if not keys:
        return value
    key, *rest = keys
    here = ".".join(done) or "the file"
    if isinstance(node, list):
        place = _place(key, node, here)
        inner = _set(node[place], rest, value, done=(*done, key), meaning=meaning)
        return [*node[:place], inner, *node[place + 1 :]]
    if node is not None and not isinstance(node, dict):
        raise ConfigError(
            f"--set {'.'.join((*done, *keys))}: {here} is {node!r}, in which there is no {key!r}; set "
            f"{here} as a whole, such as {here}='{{{key}: ...}}'"
        )
    found = dict(node or {})
    known = next((old for old in found if str(old) == key), int(key) if key.isdecimal() else key)
    if not rest:
        value = meaning(".".join((*done, key)), found, value)
    found[known] = _set(found.get(known), rest, value, done=(*done, key), meaning=meaning)
    return found


def _place(key: str, items: list[Any], here: str) -> int:
    if key.isdecimal() and int(key) < len(items):
        return int(key)
    places = f"a number from 0 to {len(items) - 1}" if items else "nothing, it is empty"
    raise ConfigError(
        f"--set {here}.{key}: {here} is a list of {len(items)}, expected {places}; to make it longer set "
        f"{here} as a whole"
    )
