"""Values into a store, a transaction at a time, each noted before it is committed."""

from __future__ import annotations

from typing import Any

from geoseg.convert.running.encode import Encoded
from geoseg.convert.running.work import Work
from geoseg.sources.store.writer import PUTS, TRANSACTION_BYTES

_PAGE = 4096


class Writing:
    """Collects what the next transaction writes."""

    def __init__(self, work: Work, *, by_bytes: bool) -> None:
        """Nothing is written yet.

        Args:
            work: The store.
            by_bytes: Whether a transaction ends when it is large, too, and not only after 512 values.
        """
        self._work, self._by_bytes = work, by_bytes
        self._values: dict[str, bytes] = {}
        self._rows: list[tuple[dict[str, Any], str]] = []
        self._nbytes = 0

    def add(self, encoded: Encoded, state: str) -> None:
        """Write a value; one that the key has already is replaced.

        Args:
            encoded: The patch.
            state: Of its files, before they were read.

        Raises:
            StoreError: The disk is full.
        """
        self._values[encoded.row["key"]] = encoded.value
        self._nbytes += len(encoded.value) + _PAGE
        self._noted(encoded, state)

    def keep(self, encoded: Encoded, state: str) -> None:
        """Note the sources' new state of a value that is there, and equal."""
        self._noted(encoded, state)

    def commit(self) -> None:
        """End the transaction.

        Raises:
            StoreError: The disk is full.
        """
        if self._rows:
            self._work.journal.add(self._rows, commit=self._put)
        self._values, self._rows, self._nbytes = {}, [], 0

    def _put(self) -> None:
        if self._values:
            self._work.env.put(self._values, replacing=True)

    def _noted(self, encoded: Encoded, state: str) -> None:
        self._rows.append((encoded.row, state))
        full = self._by_bytes and self._nbytes >= TRANSACTION_BYTES
        if full or len(self._values) >= PUTS or len(self._rows) >= 2 * PUTS:
            self.commit()
