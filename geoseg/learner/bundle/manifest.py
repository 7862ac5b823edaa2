"""The manifest of a bundle: how long each member is, and its SHA-256.

It finds what was damaged, or changed by hand. It is no signature: who changes a member and the manifest
together is not found out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from geoseg.spec import FrozenMap, Spec


class Member(Spec):
    """A member of a bundle, as it was written."""

    size: Annotated[int, Field(ge=0)]
    """Bytes."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of its content."""

    @classmethod
    def of(cls, content: bytes) -> Member:
        """That of a content."""
        return cls(size=len(content), sha256=hashlib.sha256(content).hexdigest())


class Manifest(Spec):
    """All members of a bundle but the manifest itself."""

    format: Literal["geoseg-manifest/1"] = "geoseg-manifest/1"
    """What this file is."""
    members: FrozenMap[str, Member]
    """By name."""

    @classmethod
    def of(cls, members: Mapping[str, bytes]) -> Manifest:
        """That of contents by name."""
        return cls(members=FrozenMap({name: Member.of(data) for name, data in members.items()}))

    def problem(self, members: Mapping[str, bytes]) -> str | None:
        """What is not as it was written, in words; None where all is."""
        if self.members.keys() != members.keys():
            listed, found = (", ".join(sorted(names)) for names in (self.members, members))
            return f"its manifest lists {listed or 'nothing'}, but it has {found}"
        for name, content in members.items():
            if Member.of(content) != self.members[name]:
                return f"{name} is not what was written (its SHA-256 or size is another one)"
        return None
