"""Bundles: a model and what it knows of its data, in one file that runs no code when opened.

A bundle is a zip of `model.safetensors` (weights and normalisation), `geoseg.yaml` (a BundleInfo),
`history.json` (the numbers of each epoch), `mlm.json` (the model as catalogues want it) and
`manifest.json` (size and SHA-256 of the others). Equal content gives equal bytes.
"""

from geoseg.learner.bundle.files import load_bundle, save_bundle
from geoseg.learner.bundle.info import BundleInfo

__all__ = ["BundleInfo", "load_bundle", "save_bundle"]
