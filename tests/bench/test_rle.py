"""Run-length text of volumes against the two documented loops, on 300 x 512 x 512 voxels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from geoseg.volumes.rle import Rle
from tests.bench.race import race, report

pytestmark = pytest.mark.bench

SHAPE = 300, 512, 512
ENCODE_GOALS = {"smooth": 8, "holes": 4}
DECODE_GOAL, WINDOW_GOAL, MEMORY_GOAL = 6, 20, 0.35


def two_ellipsoids(kind):
    """uint8 (depth, height, width) of 0 and 1; "holes" has 10 % of its voxels knocked out."""
    d, h, w = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    mask = ((d - 130) / 90) ** 2 + ((h - 200) / 120) ** 2 + ((w - 260) / 150) ** 2 < 1
    mask |= ((d - 180) / 70) ** 2 + ((h - 390) / 80) ** 2 + ((w - 120) / 90) ** 2 < 1
    if kind == "holes":
        rng = np.random.default_rng(0)
        for index in range(SHAPE[0]):
            mask[index] &= rng.random(SHAPE[1:], np.float32) > 0.1
    return mask.view(np.uint8)


def loop_encoder(mask):
    """The way of the documented encoder: the transposed line between zeros, its changes, `str` each."""
    line = np.concatenate([[0], mask.T.flatten(), [0]])
    changes = np.flatnonzero(line[1:] != line[:-1]) + 1
    changes[1::2] -= changes[::2]
    return " ".join(str(value) for value in changes)


def loop_decoder(text, shape):
    """The way of the documented decoder: one assignment a run; (D, H, W) for the shape (H, W, D)."""
    tokens = text.split()
    starts, lengths = (np.asarray(some, dtype=int) for some in (tokens[::2], tokens[1::2]))
    line = np.zeros(shape[0] * shape[1] * shape[2], np.uint8)
    for start, end in zip(starts - 1, starts - 1 + lengths, strict=True):
        line[start:end] = 1
    return line.reshape((shape[2], shape[0], shape[1]), order="F")


@pytest.fixture(scope="module", params=["smooth", "holes"])
def kind(request):
    return request.param


def test_encoding(benchmark, kind):
    mask = two_ellipsoids(kind)
    wanted = loop_encoder(mask)
    assert Rle.encode(mask).to_string() == wanted
    times = race({"loop": lambda: loop_encoder(mask), "runs": lambda: Rle.encode(mask).to_string()})
    benchmark.pedantic(lambda: Rle.encode(mask).to_string(), rounds=1)
    report(
        f"encode {kind}, speed of the documented loop",
        times["loop"] / times["runs"],
        ENCODE_GOALS[kind],
        f"({wanted.count(' ') // 2 + 1} runs, {times['runs']:.3f} s)",
    )


def test_decoding_and_windows(benchmark, kind):
    mask = two_ellipsoids(kind)
    text, (depth, height, width) = Rle.encode(mask).to_string(), SHAPE
    parsed = Rle.parse(text, shape=SHAPE)
    corners = [(90 + i, 150 + 3 * i, 200 + 2 * i) for i in range(20)]
    boxes = [tuple(slice(corner, corner + 64) for corner in corners[i]) for i in range(20)]

    def loop():
        return np.ascontiguousarray(loop_decoder(text, (height, width, depth)))

    def runs():
        return Rle.parse(text, shape=SHAPE).decode()

    np.testing.assert_array_equal(loop(), runs())
    np.testing.assert_array_equal(parsed.window(boxes[7]), mask[boxes[7]])
    times = race(
        {"loop": loop, "runs": runs, "windows": lambda: [parsed.window(box) for box in boxes]}
    )
    benchmark.pedantic(runs, rounds=1)
    ratio, window = times["loop"] / times["runs"], times["windows"] / len(boxes)
    report(
        f"parse and decode {kind}, speed of the documented loop", ratio, DECODE_GOAL,
        f"({times['runs']:.3f} s)",
    )  # fmt: skip
    report(
        f"a window of 64 x 64 x 64 {kind}, speed of decoding all by the loop",
        times["loop"] / window, WINDOW_GOAL, f"({window * 1e3:.2f} ms)",
    )  # fmt: skip


PEAK = """
import sys
from geoseg.volumes.rle import Rle
from tests.bench.memory import forget_peak, peak_mb
from tests.bench.test_rle import loop_encoder, two_ellipsoids

mask = two_ellipsoids(sys.argv[1])
forget_peak()
text = loop_encoder(mask) if sys.argv[2] == "loop" else Rle.encode(mask).to_string()
print(peak_mb())
"""


def test_peak_memory_of_encoding(kind):
    peaks = {}
    for way in ("loop", "runs"):
        run = [sys.executable, "-c", PEAK, kind, way]
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        peaks[way] = float(done.stdout)
    report(
        f"encode {kind}: peak memory of the documented loop over ours, all of the process",
        peaks["loop"] / peaks["runs"], 1 / MEMORY_GOAL,
        f"({peaks['runs']:.0f} MB of {peaks['loop']:.0f} MB: {peaks['runs'] / peaks['loop']:.2f})",
    )  # fmt: skip
