"""Lets torchvision be imported beside a torch for the CPU, in the processes that tests start too.

PyPI has torchvision for CUDA only. Beside a torch for the CPU its compiled operators cannot be loaded,
and the import fails at two of them, which nothing here calls: they are declared before. Python imports a
`sitecustomize` that it finds on PYTHONPATH when it starts.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder

_OPERATORS = ("nms", "qnms")
_declared = []


class _Torchvision(MetaPathFinder):
    """Looks on when torchvision is imported first."""

    def find_spec(self, name, path, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            _declare()


def _declare():
    import torch

    if torch.version.cuda is not None:
        return
    missing = [name for name in _OPERATORS if not hasattr(torch.ops.torchvision, name)]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in missing:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)  # declarations end with it


sys.meta_path.insert(0, _Torchvision())
