"""Networks that compute otherwise are told apart, though their weights are equal."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from geoseg.classes import ClassMap
from geoseg.learner import Learner, Training
from geoseg.learner.prediction.fingerprint import machine
from geoseg.learner.prediction.structure import structure_digest

CLASSES = ClassMap.of("a", "b")


class Holding(nn.Module):
    """A network that holds any value."""

    def __init__(self, held=None):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)
        self.held = held

    def forward(self, x):
        return self.conv(x)


class Plain:
    """An object with a field."""

    def __init__(self, value):
        self.value = value


class Slotted:
    """The same without a `__dict__`."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Unpicklable(Plain):
    """An object that refuses."""

    def __reduce_ex__(self, protocol):
        raise TypeError("no")


def scaled(x, by):
    return x * by


def around(by):
    return lambda x: x * by


def held_values():
    """Values of which no two are equal, made anew at each call."""
    ring = [1]
    ring.append(ring)
    return [
        None, True, 1, 1.0, "1", b"1", float("nan"), (1, 2), [1, 2], [2, 1],
        {"a", "b", "c", "d"}, {"a", "b", "c", "e"}, {"a": 1, "b": 2}, {"a": 2, "b": 1}, ring,
        torch.tensor(5.0), torch.tensor(1.0), torch.tensor([5.0]), torch.tensor(5), torch.zeros(0),
        np.array([1, 2]), np.array([2, 1]), np.float32(3), np.array(["a", None], object),
        nn.ReLU(), nn.Sigmoid(), nn.LeakyReLU(-5), [nn.ReLU()], [nn.Sigmoid()], nn.ReLU, nn.Sigmoid,
        torch.relu, torch.sigmoid, nn.functional.relu, scaled,
        lambda x: x, lambda x: -x, lambda x: x * 2, lambda x: x * 3, around(2), around(3),
        functools.partial(scaled, by=2), functools.partial(scaled, by=3), functools.partial(scaled),
        Plain(1), Plain(2), Plain({"a", "b", "c"}), Slotted(1), Slotted(2), Unpicklable(1),
        threading.Lock(), sys, Path("a/b.txt"), Path("a/c.txt"),
    ]  # fmt: skip


def digests():
    """One for each of the values, and one for each sort of module."""
    hooked = Holding()
    hooked.register_forward_hook(lambda *_: None)
    buffered = Holding()
    buffered.register_buffer("scale", torch.tensor(2.0), persistent=False)
    layers = [nn.Sequential(nn.Conv2d(1, 2, 1), last) for last in (nn.ReLU(), nn.Sigmoid())]
    traced = [torch.fx.symbolic_trace(one.eval()) for one in layers]
    modules = [*map(Holding, held_values()), hooked, buffered, *layers, *traced]
    return [structure_digest(module) for module in modules]


def test_no_two_networks_that_hold_other_things_have_one_digest():
    found = digests()
    assert len(set(found)) == len(found)


@pytest.mark.slow
def test_digests_are_the_same_in_every_process():
    code = "import tests.learner.prediction.test_structure as t; print(*t.digests())"
    root = str(Path(__file__).parents[3])
    seed = str(1 + int(os.environ.get("PYTHONHASHSEED", "0").replace("random", "0")))
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )  # fmt: skip
    assert done.stdout.split() == digests()


def test_weights_are_not_looked_at_nor_where_they_came_from():
    first, second = Holding(), Holding()
    assert not torch.equal(first.conv.weight, second.conv.weight)
    second.eval().requires_grad_(requires_grad=False)
    assert structure_digest(first) == structure_digest(second)


def test_what_differs_from_run_to_run_does_not_count():
    for make in (np.random.default_rng, torch.Generator, object):
        assert structure_digest(Holding(make())) == structure_digest(Holding(make()))


def test_something_very_deep_comes_to_an_end():
    first, second = [], []
    for _ in range(5000):
        first, second = [first], [second]
    with pytest.raises(RecursionError):
        repr(first)
    assert structure_digest(Holding(first)) == structure_digest(Holding(second))


def test_compiling_a_network_does_not_make_it_another():
    network = Holding()
    assert structure_digest(torch.compile(network, backend="eager")) == structure_digest(network)


@pytest.mark.parametrize(
    "last", [(nn.ReLU(), nn.Sigmoid()), (nn.LeakyReLU(0.1), nn.LeakyReLU(-5)), (1.0, 5.0)]
)
def test_a_learner_tells_networks_of_equal_weights_apart(last):
    conv = nn.Conv2d(1, 2, 1)

    def digest(end):
        network = nn.Sequential(conv, end) if isinstance(end, nn.Module) else Holding(end)
        network.load_state_dict({k: torch.ones_like(v) for k, v in network.state_dict().items()})
        return Learner(CLASSES, Training(size=32), network)._digest()

    assert digest(last[0]) != digest(last[1])
    assert digest(last[0]) == digest(last[0])


def test_a_learner_read_from_its_bundle_is_the_same_model(tmp_path):
    for model in (None, Holding(3)):
        learner = Learner(CLASSES, Training(size=32, model="unet"), model)
        if model is None:
            learner._module = learner._build(1)
        before = learner._digest()
        learner.module.eval()(torch.zeros(1, 1, 32, 32))
        assert learner._digest() == before
        learner.save(str(tmp_path / "b.zip"))
        again = Learner.load(str(tmp_path / "b.zip"), model=None if model is None else Holding(3))
        assert again._digest() == before


def test_what_computes_is_told_as_far_as_digits_depend_on_it():
    import rasterio

    told = machine(torch.device("cpu"))
    assert told["instructions"] == torch.backends.cpu.get_cpu_capability()
    assert told["gdal"] == rasterio.__gdal_version__
    assert told["threads"] == str(torch.get_num_threads())


@pytest.mark.gpu
def test_on_a_gpu_the_rounding_of_products_is_told():
    device = torch.device("cuda")
    before = machine(device)
    assert before["device"] == torch.cuda.get_device_name()
    allowed = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = not allowed
    try:
        changed = machine(device)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed
    assert [key for key in before if before[key] != changed[key]] == ["multiplies in"]
