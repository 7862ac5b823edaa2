"""ONNX files: written through torch, computed by ONNX Runtime."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from geoseg.errors import BundleError, ConfigError
from geoseg.learner.export.deepness import deepness_keys
from geoseg.learner.export.facts import ExportFacts, facts_from
from geoseg.learner.export.graph import NAMES, Plan, dims_of, known_warnings, plan_of
from geoseg.learner.export.parity import Run, check_parity
from geoseg.outputs import written_whole
from geoseg.window import Size

if TYPE_CHECKING:
    from geoseg.learner.learner import Learner

_KEY = "geoseg"
"""Of geoseg's own metadata."""
_INPUT, _OUTPUT = "image", "probabilities"
_AS_PT2 = (
    ", or write a .pt2, which needs torch only: geoseg export BUNDLE model.pt2, in Python "
    'geoseg.learner.export.export_pt2(learner, "model.pt2")'
)
_MOST = (1 << 31) - (1 << 24)
"""Bytes of weights; a file of protobuf holds 2 GB."""
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


def export_onnx(
    learner: Learner,
    uri: str,
    *,
    size: Size | None = None,
    dtype: str | None = None,
    channels: int | None = None,
) -> None:
    """Write a model as one ONNX file, with normalisation and softmax inside.

    Its input `image` is (batch, channel, height, width) float32 in the units of the source, NaN in what
    is not valid; its output `probabilities` is (batch, class, height, width). In its metadata are all
    that a bundle knows, and what the QGIS plugin Deepness reads. The file takes its name only when it
    has been read back and computes what the model does, to 1e-4.

    Args:
        learner: Has a model.
        uri: A local path that ends in .onnx; missing folders are made.
        size: The only size of images that the file takes, one number or (height, width); None: any.
            Deepness needs one, and square.
        dtype: Of the pixels ("uint8"), where the learner does not know them from scenes.
        channels: Of the images, where the learner was not trained at all.

    Raises:
        BundleError: The learner has no model yet, or the file does not compute the same.
        ConfigError: The network cannot be exported, a package is missing, or an argument is wrong.
        StoreError: The place cannot be written.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        _imported(package, otherwise=_AS_PT2)
    plan = plan_of(learner, uri, ".onnx", size=size, dtype=dtype, channels=channels)
    if (found := _bytes_of(plan)) > _MOST:
        raise ConfigError(f"{uri}: the weights are {found:,} bytes, but ONNX holds 2 GB{_AS_PT2}")
    with written_whole(uri) as path:
        _write(plan, path)
        check_parity(uri, _runs(_session(str(path))), plan.probes)


def open_onnx(uri: str) -> tuple[ExportFacts, Run]:
    """What an ONNX file of geoseg says of itself, and what computes it. No code in it is run.

    Raises:
        BundleError: The file is missing, damaged, or not of geoseg.
        ConfigError: ONNX Runtime is missing.
    """
    session = _session(uri)
    facts = facts_from(uri, session.get_modelmeta().custom_metadata_map.get(_KEY))
    return facts, _runs(session)


def _write(plan: Plan, path: Path) -> None:
    open_dims = {number: NAMES[number] for number in dims_of(plan.facts)}
    with known_warnings():
        program: Any = _converted(plan, open_dims)
    for number, name in open_dims.items():
        program.model.graph.outputs[0].shape[number] = name
    program.model.metadata_props.update(deepness_keys(plan.facts))
    program.model.metadata_props[_KEY] = plan.facts.to_json()
    program.save(str(path), external_data=False)


def _converted(plan: Plan, open_dims: dict[int, str]) -> Any:
    try:
        return torch.onnx.export(
            plan.program,
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            dynamic_shapes=(open_dims,),
        )
    except torch.onnx.OnnxExporterError as error:
        raise ConfigError(
            f"ONNX cannot hold this network: {' '.join(str(error).split())[:300]}; use the bundle{_AS_PT2}"
        ) from error


def _session(uri: str) -> Any:
    """A file opened by ONNX Runtime, on a GPU where it can."""
    onnxruntime = _imported("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors are raised
    there = onnxruntime.get_available_providers()
    if not Path(uri).is_file():
        raise BundleError(f"{uri}: no such model; `geoseg export` writes one")
    try:
        return onnxruntime.InferenceSession(
            uri, options, providers=[name for name in _PROVIDERS if name in there]
        )
    except _faults() as error:
        raise BundleError(
            f"{uri}: is no ONNX model, or is damaged ({_shortly(error)}); export it again"
        ) from error


def _runs(session: Any) -> Run:
    def run(image: Tensor) -> Tensor:
        try:
            (found,) = session.run([_OUTPUT], {_INPUT: image.cpu().numpy()})
        except _faults() as error:
            raise BundleError(
                f"ONNX Runtime cannot compute images {tuple(image.shape)}: {_shortly(error)}"
            ) from error
        return torch.from_numpy(found)

    return run


def _faults() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: classes of its own with no common one."""
    found = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    kinds = (value for value in vars(found).values() if isinstance(value, type))
    return (RuntimeError, ValueError, *(k for k in kinds if issubclass(k, Exception)))


def _bytes_of(plan: Plan) -> int:
    return sum(tensor.nbytes for tensor in plan.program.state_dict.values())


def _imported(package: str, *, otherwise: str = "") -> Any:
    """A package.

    Args:
        package: Its name.
        otherwise: What else may be done where it is missing, for the error.

    Raises:
        ConfigError: It is missing.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f'ONNX needs {package}, which is not installed; pip install "geoseg[onnx]"{otherwise}'
        ) from error


def _shortly(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
