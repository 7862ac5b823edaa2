"""Worker processes: patches out, values back, in the order of the patches and with bounded memory."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import IO, Any, Self, cast

from geoseg.convert.patch import Patch
from geoseg.convert.running.encode import Outcome, Recipe
from geoseg.errors import StoreError

_COMMAND = "from geoseg.convert.running.worker import main; main()"
_MOST_PATCHES = 16
_MOST_TEXT = 8000
"""Characters of paths in a list: what is sent must fit into a pipe, or both sides would wait for the other."""
_AHEAD = 2
"""Lists that a worker has at a time: one that it works on, one that waits."""
_PATIENCE = 5.0
"""Seconds that a worker has to end."""


class Workers:
    """Processes that read patches; all of them end with the `with`."""

    def __init__(self, recipe: Recipe, count: int, *, target: str) -> None:
        """Nothing is started before the `with`.

        Args:
            recipe: How values are made.
            count: Processes, at least 1.
            target: The store, for error texts.
        """
        self._recipe, self._count, self._target = recipe, count, target
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        known = os.environ.get("PYTHONPATH")
        paths = [path or os.getcwd() for path in sys.path]  # noqa: PTH109
        env = os.environ | {"PYTHONPATH": os.pathsep.join([*paths, *([known] if known else [])])}
        try:
            for _ in range(self._count):
                process = subprocess.Popen(
                    [sys.executable, "-c", _COMMAND],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=env,
                )
                self._processes.append(process)
                self._send(process, self._recipe)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def outcomes(
        self, patches: Iterable[Patch], *, at_once: int = _MOST_PATCHES
    ) -> Iterator[Outcome]:
        """What comes of each patch, in order.

        Args:
            patches: Taken as they are needed.
            at_once: Patches of a list at most; values of so many are held by each worker.

        Raises:
            StoreError: A process has ended before its time.
        """
        lists = _lists(patches, min(at_once, _MOST_PATCHES))
        waiting: deque[subprocess.Popen[bytes]] = deque()
        for process, part in zip(self._processes * _AHEAD, lists, strict=False):
            self._send(process, part)
            waiting.append(process)
        while waiting:
            process = waiting.popleft()
            answer = self._receive(process)
            for part in islice(lists, 1):
                self._send(process, part)
                waiting.append(process)
            yield from answer

    def _send(self, process: subprocess.Popen[bytes], what: Any) -> None:
        pipe = cast(IO[bytes], process.stdin)
        try:
            pickle.dump(what, pipe, protocol=5)
            pipe.flush()
        except OSError:
            raise self._ended(process) from None

    def _receive(self, process: subprocess.Popen[bytes]) -> list[Outcome]:
        try:
            answer: list[Outcome] = pickle.load(cast(IO[bytes], process.stdout))
        except (OSError, EOFError, pickle.UnpicklingError):
            raise self._ended(process) from None
        return answer

    def _ended(self, process: subprocess.Popen[bytes]) -> StoreError:
        try:
            code = process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            code = 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return StoreError(
            f"{self._target}: a worker process ended {how} before its time; is there too little memory? Give "
            "fewer `workers`, or 0"
        )

    def _end(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                _close(cast(IO[bytes], pipe))
        self._processes = []


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except OSError:  # what was not sent has nobody to take it
        return


def _lists(patches: Iterable[Patch], most: int) -> Iterator[list[Patch]]:
    part: list[Patch] = []
    length = 0
    for patch in patches:
        if part and (len(part) >= most or length > _MOST_TEXT):
            yield part
            part, length = [], 0
        part.append(patch)
        length += len(patch.root) + 3 * len(patch.path) + len(patch.key)
    if part:
        yield part
