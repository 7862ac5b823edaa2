"""Networks by name: the built-in U-Net, and those of segmentation-models-pytorch with their encoders.

Importing this needs torch only; the libraries of the extra `models` are imported when a network of
theirs is built. `geoseg.learner.modelnames` tells names without torch.
"""

from geoseg.learner.models.building import build, encoder_of
from geoseg.learner.models.library import known_encoders
from geoseg.learner.models.unet import UNet

__all__ = ["UNet", "build", "encoder_of", "known_encoders"]
