"""Peak memory of the prediction of a volume does not grow with its depth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.peak import steady

_WORK = """
import os, sys
import numpy as np
import torch
from geoseg.learner.prediction.volumes import predict_volume

def megabytes(line):
    with open("/proc/self/status") as status:
        return next(int(x.split()[1]) for x in status if x.startswith(line)) / 1024

class Lazy:  # an image that is nowhere: each part is made when it is asked for
    ndim = 4

    def __init__(self, depth):
        self.shape = (1, depth, 256, 256)

    def __len__(self):
        return 1

    def __getitem__(self, box):
        return np.ones((1, *(part.stop - part.start for part in box[1:])), np.float32)

torch.set_num_threads(1)
network = torch.nn.Conv3d(1, 4, 1)
def run(depth):
    planes = 0
    for first, slab in predict_volume(network, Lazy(depth), (16, 64, 64), (8, 64, 64)):
        assert first == planes and slab.shape[2:] == (256, 256)
        planes += slab.shape[1]
    assert planes == depth

run(32)  # now everything is loaded
for depth in map(int, sys.argv[1:]):
    if number := os.fork():  # each begins with the same memory
        if os.waitpid(number, 0)[1]:
            sys.exit(1)
        continue
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")  # the peak so far is forgotten
    before = megabytes("VmRSS")
    run(depth)
    print(megabytes("VmHWM") - before, flush=True)
    os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux for the peak")
def test_a_volume_eight_times_as_deep_needs_the_same_memory():
    done = subprocess.run(
        [sys.executable, "-c", _WORK, "32", "256"], capture_output=True, text=True, check=False,
        env=steady(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shallow, deep = map(float, done.stdout.split())
    # The scores of the deep volume alone are 256 MB, those of the shallow one 32.
    assert deep - shallow < 10, (shallow, deep)
