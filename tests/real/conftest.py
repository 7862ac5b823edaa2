"""Real scenes, found through the environment variable GEOSEG_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with `oam_buildings` and `zion`; tests skip aloud without it."""
    folder = os.environ.get("GEOSEG_DATA")
    if not folder:
        pytest.skip("GEOSEG_DATA is not set: tests on real data need the folder of the data sets")
    if not Path(folder).is_dir():
        pytest.fail(f"GEOSEG_DATA names no folder: {folder}")
    return Path(folder)


@pytest.fixture
def one_thread():
    """Arithmetic in one thread: waiting threads burn CPU time where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
