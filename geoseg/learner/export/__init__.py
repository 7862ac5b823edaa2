"""Models as files of other programs: ONNX and PyTorch's .pt2, with all that the network needs inside.

An exported model takes float32 images in the units of the source and gives probabilities; see
`geoseg.learner.export.network`. What it knows of its data is in the file, as in a bundle.

    from geoseg.learner import Learner
    from geoseg.learner.export import export_onnx, export_pt2
    from geoseg.learner.exported import open_model

    learner = Learner.load("bundle.zip")  # of a network of your own: model=MyNetwork()
    export_onnx(learner, "model.onnx", size=512)  # needs geoseg[onnx]; for QGIS one size
    export_pt2(learner, "model.pt2")  # any size
    open_model("model.pt2").predict(scene)
"""

from geoseg.learner.export.onnx import export_onnx
from geoseg.learner.export.pt2 import export_pt2

__all__ = ["export_onnx", "export_pt2"]
