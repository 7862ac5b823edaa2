"""Models, training, prediction and model files."""

from geoseg.learner.data import SegmentationData
from geoseg.learner.learner import Learner
from geoseg.learner.module import SegmentationModule
from geoseg.learner.training import Prediction, Training

__all__ = ["Learner", "Prediction", "SegmentationData", "SegmentationModule", "Training"]
