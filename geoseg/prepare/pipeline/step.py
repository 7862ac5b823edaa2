"""Step: one piece of the preparation, as a value."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Protocol

from pydantic import Field

from geoseg.spec import Tagged, files_of


class Reports(Protocol):
    """What a step gives back."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""


class Step(Tagged):
    """One function of `geoseg.prepare` with its arguments, of the same names."""

    @abstractmethod
    def run(self) -> Reports:
        """Do it, and write the files."""

    def run_again(self, *, fresh: bool, full_hash: bool) -> Reports:  # noqa: ARG002 - most begin anew
        """The same, where the step knows its own work again.

        Args:
            fresh: Begin anew, whatever there is.
            full_hash: Know inputs by their bytes.
        """
        return self.run()

    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """The files and folders that it writes."""

    def inputs(self) -> tuple[str, ...]:
        """The files that it reads: those that its fields name, and those that these name."""
        return tuple(uri for uri in files_of(self) if uri not in self.outputs())

    def seeded(self, seed: int) -> Step:  # noqa: ARG002 - kinds with random numbers take it
        """The same with the pipeline's seed, where it has none of its own."""
        return self

    def succeeded(self, report: Reports) -> bool:  # noqa: ARG002 - most raise where they fail
        """Whether the steps behind it may go on from what was reported."""
        return True


StepField = Annotated[Step, Field()]
"""A field that takes any Step; `type` says which."""
