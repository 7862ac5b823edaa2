"""What tests of bundles work on: an info with everything in it, weights, and zips made by hand."""

from __future__ import annotations

import hashlib
import json
import zipfile

import torch

from geoseg.classes import ClassMap
from geoseg.learner.bundle import BundleInfo
from geoseg.learner.facts import DataFacts
from geoseg.learner.training import Training
from geoseg.sources.statistics import Statistics

CLASSES = ClassMap.model_validate(
    [{"id": 3, "name": "dark"}, {"id": 1, "name": "água funda", "color": "#0a0bff"}]
)
MEMBERS = ["manifest.json", "geoseg.yaml", "history.json", "mlm.json", "model.safetensors"]


def facts(**changes):
    fields = {
        "band_names": ("red", "nir"),
        "dtype": "uint8",
        "statistics": Statistics(mean=(100.5, 7.0), std=(20.25, 0.0), count=99),
        "resolution_m": (10.0, 10.0),
    }
    return DataFacts(**{**fields, **changes})


def info(**changes):
    fields = {
        "classes": CLASSES,
        "training": Training(model_options={"width": 4, "depth": 2}, batch_size=3),
        "in_channels": 2,
        "data": facts(),
        "histogram": {"dark": 12, "água funda": 0},
        "versions": {"geoseg": "0.1.0", "torch": "2.13.0+cpu"},
        "history": ({"epoch": 0.0, "train_loss": 0.1}, {"epoch": 1.0, "train_loss": 0.05}),
    }
    return BundleInfo(**{**fields, **changes})


def weights():
    generator = torch.Generator().manual_seed(0)
    return {
        "network.w": torch.rand(3, 2, 5, generator=generator),
        "mean": torch.full((2, 1, 1), 0.25),
        "std": torch.ones(2, 1, 1),
        "network.steps": torch.tensor(7),
    }


def members_of(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def write_zip(path, members, *, method=zipfile.ZIP_STORED):
    """A zip of (name, content) pairs, or of a mapping, as they come."""
    pairs = members.items() if isinstance(members, dict) else members
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in pairs:
            file.writestr(name, content)
    return str(path)


def with_manifest(members):
    """The members with a manifest that is true of them."""
    told = {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in members.items()
        if name != "manifest.json"
    }
    manifest = {"format": "geoseg-manifest/1", "members": told}
    return {**members, "manifest.json": json.dumps(manifest).encode()}
