"""Processes that begin with everything imported: each is forked from one that did so once.

What is started anew spends seconds on imports before the work that its test is about.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["pytest", "geoseg.learner.learner", "geoseg.learner.fitting.fit", "geoseg.labels.geotiff"]
)


class Done(NamedTuple):
    """As `subprocess.run` tells it."""

    returncode: int
    stderr: str


def _work(said, function, arguments):
    multiprocessing.set_start_method(
        None, force=True
    )  # its own processes begin as they do anywhere
    with Path(said).open("w") as file:
        os.dup2(file.fileno(), 2)
    function(*arguments)


def forked(function, *arguments):
    """Calls a function of a module in a process of its own, which nothing of this one is changed by."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "stderr")
        process = _CONTEXT.Process(target=_work, args=(said, function, arguments))
        process.start()
        process.join()
        return Done(process.exitcode, said.read_text())
