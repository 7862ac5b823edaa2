"""What decides about the bytes of a store: noted in the work folder and in the manifest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

from geoseg.convert.layout import Group, Layout
from geoseg.errors import ConfigError

FORMAT = 1
"""Of what is noted here."""
_OF_NO_BYTE = frozenset({"table", "more_bands"})
"""Fields of a group that may change from run to run."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run was asked for."""

    layout: Layout
    compression: Literal["zstd"] | None = None
    embed_geo: bool = False
    rico_identical: bool = False
    shard: tuple[int, int] | None = None
    metadata: bool = False
    """Whether tables tell split, labels, and what belongs together."""

    def check(self, *, append: bool) -> None:
        """See that they fit each other, and that a store may be added to with them.

        Raises:
            ConfigError: They do not.
        """
        if not self.rico_identical:
            return
        if not self.layout.rico:
            raise ConfigError(
                f"rico-hdl knows no layout {self.layout.name!r}, so that no file can be identical to its; "
                "leave out `rico_identical`"
            )
        wrong = other_bytes(
            compression=self.compression, embed_geo=self.embed_geo, append=append, shard=self.shard
        )
        if wrong:
            raise ConfigError(
                f"{', '.join(f'`{name}`' for name in wrong)} makes other bytes than rico-hdl's; leave it or "
                "`rico_identical` out"
            )

    def told(self) -> dict[str, Any]:
        """As JSON takes it, without a path of this machine."""
        layout: dict[str, Any] = self.layout.model_dump(mode="json")
        for group in layout["groups"]:
            table = group.get("table")
            group["table"] = None if table is None else PurePath(table).name
        return {
            "format": FORMAT,
            "layout": layout,
            "compression": self.compression,
            "embed_geo": self.embed_geo,
            "rico_identical": self.rico_identical,
            "shard": None if self.shard is None else list(self.shard),
            "metadata": self.metadata,
        }

    def check_like(
        self,
        earlier: Mapping[str, Any],
        where: str,
        *,
        rows: Callable[[], Iterable[Mapping[str, Any]]],
    ) -> None:
        """See that what an earlier run was asked for is the same; metadata may come later, and must not go.

        Args:
            earlier: Its `told`, or part of it.
            where: What that run has written.
            rows: Gives what that run has told of each patch.

        Raises:
            ConfigError: It is not; the text has both.
        """
        now = json.loads(json.dumps(self.told()))
        for name, value in now.items():
            if name == "metadata":
                continue
            if name in earlier and _compared(earlier[name]) != _compared(value):
                was, got = _both(name, earlier[name], value)
                raise ConfigError(
                    f"{where}: was begun with {name} {was}, and now {name} is {got}; give the same "
                    "settings, or choose another target"
                )
        if not self.metadata and self._had_metadata(earlier, rows):
            raise ConfigError(
                f"{where}: was begun with a table of metadata, and now there is none, so that splits and labels would be "
                "lost; give the table again (--metadata), or choose another target"
            )

    def _had_metadata(
        self,
        earlier: Mapping[str, Any],
        rows: Callable[[], Iterable[Mapping[str, Any]]],
    ) -> bool:
        """Whether an earlier run had tables; of an earlier version, which did not note that, the rows tell it."""
        if "metadata" in earlier:
            return bool(earlier["metadata"])
        if self.layout.metadata is None:
            return False
        return any(row.get("split") or row.get("labels") for row in rows())


def _compared(value: Any) -> Any:
    """A setting as it is compared: without the fields of groups that decide about no byte.

    Patches of several tables may be in one store, and whether files may have more bands decides only what is refused. A
    field of a group that an earlier version did not know has its default.
    """
    if not isinstance(value, dict) or not isinstance(value.get("groups"), list):
        return value
    defaults = {name: field.default for name, field in Group.model_fields.items()}
    groups = [
        {
            name: told
            for name, told in group.items()
            if name not in _OF_NO_BYTE and told != defaults.get(name)
        }
        for group in value["groups"]
    ]
    return {**value, "groups": groups}


def other_bytes(
    *,
    compression: str | None,
    embed_geo: bool,
    append: bool,
    shard: tuple[int, int] | None,
) -> list[str]:
    """Which of these arguments of `convert` make another file than rico-hdl's."""
    given = {
        "compression": compression,
        "embed_geo": embed_geo,
        "append": append,
        "shard": shard,
    }
    return [name for name, value in given.items() if value]


def _both(name: str, was: Any, got: Any) -> tuple[Any, Any]:
    """Two values in few words."""
    if name != "layout":
        return was, got
    names = [layout.get("name") if isinstance(layout, dict) else layout for layout in (was, got)]
    if names[0] != names[1]:
        return names[0], names[1]
    changed = [key for key in got if not isinstance(was, dict) or was.get(key) != got[key]]
    return f"{names[0]} with other {', '.join(changed)}", f"{names[1]} with new ones"


def read_settings(path: Path) -> dict[str, Any] | None:
    """What a run has noted; None where that is damaged or not there."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
