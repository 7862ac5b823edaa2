"""Networks by name: built-in U-Nets, those of segmentation-models-pytorch with encoders, those of MONAI.

Importing this needs torch only; the libraries of the extras `models` and `volumes` are imported when a network of
theirs is built. `geoseg.learner.modelnames` tells names without torch.
"""

from geoseg.learner.models.building import build, encoder_of
from geoseg.learner.models.library import known_encoders
from geoseg.learner.models.unet import UNet
from geoseg.learner.models.unet3d import UNet3D

__all__ = ["UNet", "UNet3D", "build", "encoder_of", "known_encoders"]
