"""What tells two networks of equal weights apart: their modules, and what these hold beside tensors."""

from __future__ import annotations

import hashlib
import pickle
import random
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.Size, range, slice)
"""Values whose `repr` is all there is to them."""
_BY_KIND = (
    np.random.Generator,
    np.random.RandomState,
    random.Random,
    torch.Generator,
    torch.device,
)
"""Values of which only the kind is told: they differ from run to run, or from machine to machine."""
_BY_NAME = (type, ModuleType, BuiltinFunctionType, Enum, PurePath)
"""Values of which only kind and name are told."""
_INTERNAL = frozenset(vars(nn.Module()))
"""What every module holds."""
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")
"""Of that, the functions that may change what it computes."""
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_TORCHSCRIPT = re.compile(r" # [^\n]*:\d+:\d+|\.?___torch_mangle_\d+")
"""Where TorchScript was compiled from, and how often in this process."""
_NOT_PICKLED = (
    pickle.PicklingError, TypeError, ValueError, AttributeError, KeyError, RuntimeError,
)  # fmt: skip
"""What objects raise that cannot be pickled."""
_DEEPEST = 80
"""Values within values; of those that lie deeper only the kind is told."""


def structure_digest(network: nn.Module) -> str:
    """SHA-256 of what a network is beside its `state_dict()`; equal in all processes for the same code.

    It covers the printed form of the network and what its modules hold: plain values, tensors that are
    no part of the state, hooks that change the output, and other objects by what they would be pickled
    as, or, where they cannot be pickled, by their `repr` without addresses. Classes and functions count
    by their names, as the code behind them is not looked at; lambdas and functions within functions by
    their byte code, which another version of Python may compile differently. Of random generators and
    devices only the kind counts, of TorchScript the graph.

    What a network notes in itself while it computes (a count of its calls, say) makes it another one.
    """
    state = {id(tensor) for tensor in network.state_dict(keep_vars=True).values()}
    return _Teller(state).digest(network)


class _Teller:
    """Makes digests of values; of one that holds itself, the inner one counts by its depth."""

    def __init__(self, state: set[int]) -> None:
        self._state = state
        self._done: dict[int, tuple[Any, str]] = {}  # holds the values, so that no id is used again
        self._open: list[int] = []

    def digest(self, value: Any) -> str:
        if isinstance(value, nn.Module):  # what torch.compile adds changes no result
            value = getattr(value, "_orig_mod", value)
        key = id(value)
        if key in self._done:
            return self._done[key][1]
        if key in self._open:
            return f"itself {self._open.index(key)}"
        self._open.append(key)
        try:
            content = hashlib.sha256()
            for text in self._told(value):
                content.update(f"{len(text)} {text}".encode("utf-8", "surrogatepass"))
        finally:
            self._open.pop()
        self._done[key] = value, content.hexdigest()
        return content.hexdigest()

    def _told(self, value: Any) -> Iterator[str]:
        """Texts that say all of a value."""
        yield type(value).__qualname__
        if isinstance(value, _PLAIN):
            yield repr(value)
        elif len(self._open) > _DEEPEST:
            return
        elif isinstance(value, Tensor | np.ndarray):
            yield "of the state" if id(value) in self._state else _numbers(value)
        elif isinstance(value, _BY_NAME):
            yield _name_of(value)
        elif not isinstance(value, _BY_KIND):
            yield from self._of_parts(value)

    def _of_parts(self, value: Any) -> Iterator[str]:
        """Texts of what a value consists of."""
        if isinstance(value, nn.Module):
            yield from self._of_module(value)
        elif isinstance(value, Mapping):
            yield from sorted(self.digest(k) + self.digest(v) for k, v in value.items())
        elif isinstance(value, set | frozenset):
            yield from sorted(map(self.digest, value))
        elif isinstance(value, list | tuple):
            yield from map(self.digest, value)
        elif isinstance(value, FunctionType | MethodType | CodeType):
            yield from self._of_function(value)
        else:
            yield from self._of_object(value)

    def _of_module(self, module: nn.Module) -> Iterator[str]:
        if not self._open[1:]:
            yield _without_addresses(repr(module))
        if isinstance(module, torch.jit.ScriptModule):
            yield _TORCHSCRIPT.sub("", str(module.inlined_graph))
            return
        if type(module).__reduce__ is not object.__reduce__:
            yield from self._of_object(module)  # one of torch.fx, which is made of linked nodes
            return
        parts = {k: v for k, v in vars(module).items() if k not in _INTERNAL}
        named = (module._parameters, module._buffers, module._modules)  # noqa: SLF001
        hooks = [list(getattr(module, name).values()) for name in _HOOKS]
        for part in (parts, *named, hooks):
            yield self.digest(part)

    def _of_function(self, value: Any) -> Iterator[str]:
        if isinstance(value, CodeType):
            yield value.co_code.hex()
            yield from map(self.digest, (value.co_names, value.co_consts))
            return
        yield _name_of(value)
        if isinstance(value, MethodType):
            yield self.digest(value.__self__)
            value = value.__func__
        if isinstance(value, FunctionType):
            cells = [_held_by(cell) for cell in value.__closure__ or ()]
            yield from map(self.digest, (cells, value.__defaults__, value.__kwdefaults__))
            if "<" in value.__qualname__:  # it is nowhere to be found by its name
                yield self.digest(value.__code__)

    def _of_object(self, value: Any) -> Iterator[str]:
        """As `pickle` would take it apart."""
        reduced = _reduced(value)
        if reduced is None:
            yield _without_addresses(repr(value))
            return
        if isinstance(reduced, str):
            yield reduced
            return
        for part in reduced:
            yield self.digest(list(part) if isinstance(part, Iterator) else part)


def _reduced(value: Any) -> Any:
    """What `pickle` asks of an object; None where it cannot be pickled."""
    try:
        return value.__reduce_ex__(4)
    except _NOT_PICKLED:
        return None


def _held_by(cell: CellType) -> Any:
    """What a function has taken from around it; None where that is not there yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _name_of(value: Any) -> str:
    if isinstance(value, PurePath):  # its folder may differ from machine to machine
        return value.name
    if isinstance(value, Enum):
        return value.name
    return str(getattr(value, "__qualname__", getattr(value, "__name__", "")))


def _numbers(value: Tensor | np.ndarray[Any, Any]) -> str:
    """dtype, shape and SHA-256 of the numbers, wherever they are."""
    if isinstance(value, np.ndarray):
        content = repr(value.tolist()).encode() if value.dtype.hasobject else value.tobytes()
        return f"{value.dtype} {value.shape} {hashlib.sha256(content).hexdigest()}"
    told = f"{value.dtype} {tuple(value.shape)}"
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        return told
    plain = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
    content = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return f"{told} {hashlib.sha256(content).hexdigest()}"


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub("0x", text)
