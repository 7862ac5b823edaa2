"""The zip of a .pt2 file, looked at before torch reads it."""

from __future__ import annotations

import io
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

import torch

from geoseg.errors import BundleError

_MEMBER = re.compile(
    r"[^/]+/(data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|data/sample_inputs/model\.pt|models/model\.json|extra/[\w.]+"
    r"|archive_format|archive_version|byteorder|version|\.data/(version|serialization_id))"
)
"""What torch writes of a graph and its weights; not compiled libraries, and not objects."""
_TEXTS = re.compile(r"Symbol\('\w+'(, \w+=(True|False))*\)|Float\('[-+.\de]+', precision=\d+\)")
"""What has quotes in formulas: the name of a size, and a number that is not whole."""
_NAME = re.compile(
    r"Integer|Rational|Add|Mul|Pow|PowByNatural|FloatPow|Max|Min|Abs|Mod|PythonMod|FloorDiv|CeilDiv"
    r"|CleanDiv|IntTrueDiv|FloatTrueDiv|ModularIndexing|ToFloat|TruncToInt|TruncToFloat|FloorToInt"
    r"|CeilToInt|RoundToInt|RoundDecimal|Identity|Where|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality"
    r"|StrictLessThan|LessThan|StrictGreaterThan|GreaterThan|And|Or|Not|Piecewise|ExprCondPair"
    r"|OpaqueUnaryFn_[a-z]+\d*|true|false|int_oo|oo|[suz]\d+"
)
"""A name in formulas of sizes: arithmetic, comparisons, and the sizes themselves."""
_FORMULA = re.compile(r"[\w\s(),+\-*/]*")
_FAULTS = (zipfile.BadZipFile, OSError, EOFError, ValueError, KeyError, RuntimeError)


def checked_text(uri: str, extra: str) -> str | None:
    """A text beside the graph, once all members are whole and none is known to run code.

    Args:
        uri: The .pt2 file.
        extra: The name of the text.

    Returns:
        The text; None where there is none.

    Raises:
        BundleError: The file is missing, damaged, or holds what could run code.
    """
    try:
        with zipfile.ZipFile(uri) as file:
            if (damaged := file.testzip()) is not None:
                raise zipfile.BadZipFile(f"the checksum of {damaged} does not agree")
            members = {name.partition("/")[2]: file.read(name) for name in _texts(file)}
            problem = _problem(file.namelist(), members)
    except FileNotFoundError as error:
        raise BundleError(f"{uri}: no such model; `geoseg export` writes one") from error
    except _FAULTS as error:
        raise BundleError(
            f"{uri}: is no .pt2 model, or is damaged ({error}); export it again"
        ) from error
    if problem is not None:
        raise BundleError(
            f"{uri}: {problem}, which could run code when it is opened and which geoseg never writes; "
            "ask for a bundle or an ONNX file"
        )
    text = members.get(f"extra/{extra}")
    return None if text is None else text.decode()


def _texts(file: zipfile.ZipFile) -> list[str]:
    """The members that are not weights."""
    ends = (".json", "/data/sample_inputs/model.pt")
    return [name for name in file.namelist() if name.endswith(ends) or "/extra/" in name]


def _problem(names: list[str], members: dict[str, bytes]) -> str | None:
    """What in it could run code, in words."""
    for name in names:
        if not _MEMBER.fullmatch(name):
            return f"has a member {name!r}"
    for name in (
        "data/weights/model_weights_config.json",
        "data/constants/model_constants_config.json",
    ):
        payloads = json.loads(members[name])["config"].values()
        if any(payload["use_pickle"] for payload in payloads):
            return "holds a pickle among its weights"
    if not _is_plain(members["data/sample_inputs/model.pt"]):
        return "holds a pickle of objects as its example"
    model = json.loads(members["models/model.json"])
    if model.get("guards_code"):
        return "holds Python expressions as guards"
    strange = next((text for text in _formulas(model) if not is_formula(text)), None)
    return None if strange is None else f"holds the formula {strange[:60]!r}"


def _is_plain(content: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a strange pickle, which is refused in any case
            torch.load(io.BytesIO(content), weights_only=True)
    except (pickle.UnpicklingError, *_FAULTS):
        return False
    return True


def _formulas(value: Any) -> Iterator[str]:
    """All texts that torch evaluates as formulas."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "expr_str":
                yield str(item)
            else:
                yield from _formulas(item)
    elif isinstance(value, list):
        for item in value:
            yield from _formulas(item)


def is_formula(text: str) -> bool:
    """Whether a text that torch is to evaluate is arithmetic of sizes and nothing else."""
    rest = _TEXTS.sub("", text)
    names = re.findall(r"[A-Za-z_]\w*", rest)
    return bool(_FORMULA.fullmatch(rest)) and all(map(_NAME.fullmatch, names))
