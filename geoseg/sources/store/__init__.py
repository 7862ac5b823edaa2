"""Stores of LMDB + safetensors: many patches in one database, read without a copy."""

from geoseg.sources.store.reader import StoreReader
from geoseg.sources.store.writer import StoreWriter

__all__ = ["StoreReader", "StoreWriter"]
