"""Models as files of other programs: ONNX and PyTorch's .pt2, with all that the network needs inside.

An exported model takes float32 images in the units of the source and gives probabilities; see
`geoseg.learner.export.network`. What it knows of its data is in the file, as in a bundle.
"""

from geoseg.learner.export.onnx import export_onnx
from geoseg.learner.export.pt2 import export_pt2

__all__ = ["export_onnx", "export_pt2"]
