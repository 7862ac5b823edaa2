"""The commit of a folder, compared with what git itself is told to do."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from geoseg.record.git import git_state

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Calls git in the test's folder, in which no repository of the machine is found."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]

    def call(*arguments):
        found = subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return found.stdout.strip()

    return call


@needs_git
def test_the_commit_the_branch_and_changes_are_told(git, tmp_path):
    git("init", "-b", "topic")
    assert git_state(tmp_path) is None  # no commit yet
    (tmp_path / "a.yaml").write_text("a: 1\n")
    git("add", "a.yaml")
    git("commit", "-m", "one")
    commit = git("rev-parse", "HEAD")
    clean = {"commit": commit, "branch": "topic", "dirty": False}
    assert git_state(tmp_path) == clean
    (tmp_path / "out.tif").write_text("not known to git")
    assert git_state(tmp_path) == clean
    (tmp_path / "a.yaml").write_text("a: 2\n")
    assert git_state(tmp_path) == clean | {"dirty": True}
    git("commit", "-am", "two")
    git("checkout", "--detach", commit)
    assert git_state(tmp_path) == clean | {"branch": None}


def test_without_a_repository_or_git_there_is_no_state(git, tmp_path, monkeypatch):
    assert git_state(tmp_path) is None
    assert git_state(tmp_path / "no such folder") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) is None
