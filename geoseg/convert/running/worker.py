"""A process that reads patches for another: it gets lists of them on its input and answers each on its output.

Started as a program of its own, so that it works from a script without a main guard and from a notebook.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from typing import BinaryIO

from geoseg.convert.running.encode import Recipe, encode_patch


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the input ends."""
    try:
        recipe: Recipe = pickle.load(asked)
        while True:
            patches = pickle.load(asked)
            pickle.dump([encode_patch(recipe, patch) for patch in patches], answers, protocol=5)
            answers.flush()
    except (EOFError, BrokenPipeError):
        return  # all is done, or nobody waits any more


def main() -> None:
    """The program: what anybody prints goes to stderr, the output is for answers."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches all; the asking process ends the others
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)
    os._exit(0)  # what is left unsent in buffers has nobody to take it


if __name__ == "__main__":
    main()
