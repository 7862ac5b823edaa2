"""Weights of a library from the Hugging Face hub: from the cache alone where the hub cannot be reached."""

from __future__ import annotations

import importlib
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_WAIT = 5.0
"""Seconds for an answer of the hub."""


@contextmanager
def hub_at_hand() -> Iterator[str | None]:
    """What is fetched within comes from the cache, or from the hub if it answers one short question.

    Without an answer the hub's own library would ask again for half a minute, with a line each time.

    Yields:
        Why the hub cannot be reached; None: it can.
    """
    constants: Any = importlib.import_module("huggingface_hub.constants")
    logger, offline = logging.getLogger("huggingface_hub"), constants.HF_HUB_OFFLINE
    reason, level = None if offline else _unreachable(constants.ENDPOINT), logger.level
    logger.setLevel(logging.ERROR)
    constants.HF_HUB_OFFLINE = offline or reason is not None
    try:
        yield reason
    finally:
        constants.HF_HUB_OFFLINE = offline
        logger.setLevel(level)


def _unreachable(endpoint: str) -> str | None:
    """Why a server does not answer; None: it does, whatever it says."""
    question = urllib.request.Request(endpoint, method="HEAD")
    try:
        urllib.request.urlopen(question, timeout=_WAIT).close()
    except urllib.error.HTTPError:
        return None
    except OSError as error:
        return f"{endpoint} does not answer: {getattr(error, 'reason', error)}"
    return None
