"""YAML as people write it: `no` and `on` are words, `1e-3` is a number, a key given twice is an error."""

from __future__ import annotations

import re
from typing import Any

import yaml

from geoseg.errors import ConfigError

_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_FLOAT = re.compile(
    r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)
_INT = re.compile(r"^[-+]?[0-9]+$|^0x[0-9a-fA-F]+$")
_KINDS = {
    "bool": (_BOOL, "tTfF"),
    "int": (_INT, "-+0123456789"),
    "float": (_FLOAT, "-+.0123456789"),
}


def _resolvers(old: dict[str, list[tuple[str, Any]]]) -> dict[str, list[tuple[str, Any]]]:
    """The table of plain scalars, with YAML 1.2's idea of bool, int and float."""
    replaced = {f"tag:yaml.org,2002:{name}" for name in (*_KINDS, "timestamp")}
    table = {first: [r for r in rules if r[0] not in replaced] for first, rules in old.items()}
    for name, (pattern, firsts) in _KINDS.items():
        for first in firsts:
            table.setdefault(first, []).append((f"tag:yaml.org,2002:{name}", pattern))
    return table


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = _resolvers(yaml.SafeLoader.yaml_implicit_resolvers)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002, RUF100
        seen: set[str] = set()
        for key, _ in node.value:
            text = str(key.value)
            if text in seen:
                mark = key.start_mark
                raise ConfigError(
                    f"{mark.name}, line {mark.line + 1}: the key {text!r} is given twice; keep one"
                )
            seen.add(text)
        return super().construct_mapping(node, deep)

    def construct_whole(self, node: yaml.ScalarNode) -> int:
        """An int; `010` is ten (to YAML 1.1 it is eight)."""
        text = str(self.construct_scalar(node))
        return int(text, 16) if text.startswith("0x") else int(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_whole)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = _resolvers(yaml.SafeDumper.yaml_implicit_resolvers)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - a value used twice is written twice
        return True

    def represent_sequence(
        self,
        tag: str,
        sequence: Any,
        flow_style: bool | None = None,  # noqa: FBT001, RUF100
    ) -> yaml.SequenceNode:
        node = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = all(isinstance(item, yaml.ScalarNode) for item in node.value)
        return node


def load(text: str, name: str = "YAML text") -> Any:
    """Plain Python values of a YAML text.

    Args:
        text: The YAML.
        name: What errors call it, the file's name as a rule.

    Raises:
        ConfigError: Not YAML (with the line), or a key given twice.
    """
    try:
        loader = _Loader(text)
        loader.name = name
        return loader.get_single_data()
    except yaml.reader.ReaderError as error:
        raise ConfigError(
            f"{name}: not YAML: {error.reason}, at character {error.position + 1}; is it a binary file?"
        ) from error
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"{name}: holds what cannot be read as YAML: {type(error).__name__}: {error}; look at values "
            "with !!tags and at deep nesting"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}") from error


def dump(value: Any) -> str:
    """YAML text of plain Python values, keys in their own order, lists of scalars in one piece."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
