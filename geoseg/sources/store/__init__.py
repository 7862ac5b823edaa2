"""Stores of LMDB + safetensors: many patches in one database, read without a copy."""

from geoseg.sources.store.reader import StoreReader
from geoseg.sources.store.sharded import ShardedStore
from geoseg.sources.store.writer import StoreWriter

__all__ = ["ShardedStore", "StoreReader", "StoreWriter"]
