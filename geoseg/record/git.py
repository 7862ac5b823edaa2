"""Which commit a folder is at."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

_SECONDS = 20
"""After which git is not waited for: a folder on a slow network drive."""


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit of the folder, and whether files that git knows differ from it.

    Returns:
        {"commit": 40 digits, "branch": its name or None, "dirty": bool}; files that git does not know
        do not count. None where there is no git, no repository or no commit.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if changed is None:
        return None
    branch = _git(folder, "symbolic-ref", "--short", "--quiet", "HEAD")
    return {"commit": commit, "branch": branch or None, "dirty": bool(changed)}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails."""
    # Looking must not write, and no question may be asked.
    environment = os.environ | {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            check=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
