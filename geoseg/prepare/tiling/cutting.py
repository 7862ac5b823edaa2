"""The loop: windows are read, judged, written and noted, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from shutil import get_terminal_size

from tqdm import tqdm

from geoseg.prepare.tiling.inputs import Inputs
from geoseg.prepare.tiling.pairs import PairWriter
from geoseg.prepare.tiling.pixels import Part
from geoseg.prepare.tiling.tally import Record, Tally
from geoseg.prepare.tiling.work import Work
from geoseg.sources.handles import block_cache

_CACHE_BYTES = 128 << 20
"""Bytes of decoded blocks: windows that overlap read some twice."""

Watch = Callable[[int, Iterable[Part]], Iterable[Part]]
"""Sees the parts of a row as they pass, and passes them on."""
Judge = Callable[[Record], str | None]
"""Why a window is left out; None where it is wanted."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which windows are written."""

    beforehand: Sequence[str | None]
    """(row,) why it is left out without looking at it."""
    judge: Judge | None
    """Looks at what was measured; None: all are written."""
    min_valid: float = 0.0
    """A window of which an image knows that nothing is valid is not read where this is more than 0."""
    watch: Watch | None = None


def cut(inputs: Inputs, writer: PairWriter, work: Work, rules: Rules, *, told: str) -> list[Record]:
    """Cut all windows that are not done yet.

    Args:
        inputs: What is cut.
        writer: Where pairs go.
        work: What is done, and where more is noted.
        rules: Which windows are written.
        told: The name of the progress bar.

    Returns:
        What became of each row, in order.

    Raises:
        GeosegError: Pixels cannot be read, or files not be written.
    """
    rows = [row for row in range(len(inputs.index)) if row not in work.done]
    width = get_terminal_size().columns  # some terminals say that they have none
    with block_cache(_CACHE_BYTES):
        for row in tqdm(rows, desc=told, unit="window", disable=None, leave=False, ncols=width):
            left = rules.beforehand[row]
            done = _one(row, inputs, writer, rules) if left is None else _unseen(row, left)
            work.note(done)
    return [work.done[row] for row in range(len(inputs.index))]


def _one(row: int, inputs: Inputs, writer: PairWriter, rules: Rules) -> Record:
    pair, window = inputs.pair(row), inputs.index.windows[row]
    if rules.min_valid > 0 and pair.image.surely_empty(window):
        return _unseen(row, "min_valid")
    tally = Tally()
    parts: Iterable[Part] = tally.watch(pair.read(window), pair.rule)
    if rules.judge is not None:
        if len(pair.spans(window)) == 1:
            parts = list(parts)
        else:  # too large to be kept: it is read again where it is wanted
            for _ in parts:
                pass
            parts = pair.read(window)
        left = rules.judge(Record.of(row, None, tally))
        if left is not None:
            return Record.of(row, left, tally)
    watched = parts if rules.watch is None else rules.watch(row, parts)
    writer.write(inputs.names[row], pair, window, watched)
    return Record.of(row, None, tally)


def _unseen(row: int, left: str) -> Record:
    return Record(row, left, 0, 0, 0, {})
