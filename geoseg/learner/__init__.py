"""Models, training, prediction and model files.

Names are looked up when first used: the options of a training need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoseg.learner.data import SegmentationData
    from geoseg.learner.learner import Learner
    from geoseg.learner.module import SegmentationModule
    from geoseg.learner.prediction.volumes import predict_volume
    from geoseg.learner.training import Prediction, Training
    from geoseg.learner.volumes.data import VolumeData
    from geoseg.learner.volumes.module import VolumeModule

_HOME_OF = {
    "Learner": "geoseg.learner.learner",
    "Prediction": "geoseg.learner.training",
    "SegmentationData": "geoseg.learner.data",
    "SegmentationModule": "geoseg.learner.module",
    "Training": "geoseg.learner.training",
    "VolumeData": "geoseg.learner.volumes.data",
    "VolumeModule": "geoseg.learner.volumes.module",
    "predict_volume": "geoseg.learner.prediction.volumes",
}

__all__ = [
    "Learner",
    "Prediction",
    "SegmentationData",
    "SegmentationModule",
    "Training",
    "VolumeData",
    "VolumeModule",
    "predict_volume",
]


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'geoseg.learner' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
