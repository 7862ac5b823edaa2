"""Scoring: what is measured of a prediction beside the confusion matrix."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from geoseg.labels.evaluation.bootstrap import check_resamples
from geoseg.spec import Spec


class Scoring(Spec):
    """Options of an evaluation; the defaults count pixels only."""

    boundary_px: Annotated[int, Field(ge=1)] | None = None
    """Boundary IoU too, of pixels this near to a class boundary; see `BoundaryCounter`."""
    object_iou: Annotated[float, Field(gt=0, le=1)] | None = None
    """Precision, recall and F1 of objects too, which are the same from this IoU on, such as 0.5; see
    `ObjectCounter`."""
    bootstrap: Annotated[int, Field(ge=0)] = 0
    """Resamples of blocks for 95 % intervals, such as 1000, 20 at least; see `Blocks`; 0: no intervals."""
    block_px: Annotated[int, Field(ge=1)] = 512
    """Pixels a side of such a block."""
    seed: Annotated[int, Field(ge=0)] = 0
    """The resamples follow from it."""

    @field_validator("bootstrap")
    @classmethod
    def _enough(cls, bootstrap: int) -> int:
        check_resamples(bootstrap)
        return bootstrap
