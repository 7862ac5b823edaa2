"""What a killed run has left in the hidden folder, and whether another goes on with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from geoseg.convert.running.journal import Journal
from geoseg.convert.running.segments import keys_noted
from geoseg.convert.running.settings import Settings, read_settings
from geoseg.convert.running.syncing import sync
from geoseg.convert.running.target import NEW, Target
from geoseg.sources.store.environments import DATA_FILE
from geoseg.warn import warn

SETTINGS = "settings.json"
_ROWS = "rows"
_BASE = "base"
"""Beside the settings: the state of the finished store that was copied."""


class Leftover:
    """What lies in the hidden folder of a target, which this run has locked."""

    def __init__(self, target: Target, settings: Settings, *, resume: bool) -> None:
        """Nothing is looked at yet; see `geoseg.convert.running.work.Work`."""
        self._target, self._settings, self._resume = target, settings, resume

    def journal(self, state: list[list[int]] | None) -> Journal | None:
        """That of what a killed run has left, to go on with; None: there is nothing, or nothing that fits.

        Args:
            state: Of the finished store that is begun with.

        Raises:
            ConfigError: What is left was begun with other settings.

        Warns:
            UserWarning: What is left is of no use, or is damaged.
        """
        left = (self._target.work / NEW / DATA_FILE).is_file()
        earlier = read_settings(self._target.work / SETTINGS)
        identical = self._settings.rico_identical
        again = self._resume and not identical and left and earlier is not None
        journal = self.read_journal(state) if again else None
        why = self._why_not(state, earlier or {}, journal) if journal else ""
        if journal is not None and not why:
            where = f"{self._target.uri} (killed while it was written)"
            self._settings.check_like(earlier or {}, where, rows=journal.rows)
            self._warn_of_damage(journal)
        elif left:
            count = keys_noted(self._target.work / _ROWS)
            self._warn(
                f"starts over, without {count} patches that a killed run had written", why=why
            )
        elif self._resume and identical and self._target.is_store:
            self._warn("is written anew")
        return None if why else journal

    def read_journal(self, state: list[list[int]] | None) -> Journal:
        """What is noted, on top of the rows of the finished store where that has a state."""
        rows = tuple if state is None else self._target.rows
        return Journal(self._target.work / _ROWS, uri=self._target.uri, base=rows)

    def note(self, state: list[list[int]] | None) -> None:
        """Note that all is begun that another run could go on with.

        Raises:
            OSError: The disk is full.
        """
        path = self._target.work / SETTINGS
        path.write_text(json.dumps(self._settings.told() | {_BASE: state}), "utf-8")
        sync(path)

    def _why_not(
        self, state: list[list[int]] | None, earlier: Mapping[str, Any], journal: Journal
    ) -> str:
        """Why what a killed run has left does not fit the target as it is now; empty where it does."""
        was = earlier.get(_BASE)
        if was != state:
            if state is None:
                return "the store that it was adding to is gone"
            return "the store has changed since" if was else "there is a store since then"
        if was is not None and journal.damaged:
            return "what it had noted is damaged"
        return ""

    def _warn_of_damage(self, journal: Journal) -> None:
        if damaged := journal.damaged:
            warn(
                f"{self._target.uri}: {damaged[0].name}, which a killed run had noted, is damaged "
                f"({len(damaged)} such files): the patches that it tells of are read again"
            )

    def _warn(self, what: str, *, why: str = "") -> None:
        if not why:
            why = "`--resume` would have gone on with them"
            if self._resume:
                why = "its settings are not known"
                if self._settings.rico_identical:
                    why = "a file that is written in two goes is not identical to rico-hdl's"
        warn(f"{self._target.uri}: {what}: {why}")
