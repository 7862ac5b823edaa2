"""Sampling: which windows training draws, as plain values."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from geoseg.spec import FrozenMap, Spec, Uri

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Pixels = Annotated[int, Field(ge=1)]
_ROUNDING = 1e-9
"""By which shares may pass 1 together."""


class Sampling(Spec):
    """Rules for random windows; the defaults draw them anywhere.

    A window that is drawn keeps every rule exactly: counts are of pixels, none is thinned out. All
    rules but `scene_weights` and `size_range` need a ClassHistogram of each scene, for which all
    their pixels are read once before the first window.

    Whether a window keeps them is told from counts of cells, of about an eighth of its side. One of
    which they do not tell is left out, as long as others are sure: those whose edge runs through a
    cell that is in part what is asked for are so drawn less often than they might be.
    """

    class_balance: Literal["balanced"] | FrozenMap[str, Share] | None = None
    """{class name: share of the windows that are laid around a pixel of the class}; the rest are drawn
    anywhere, and may hold it too. "balanced": equal shares of all windows for all classes that occur."""
    negative_share: Share | None = None
    """Share of the windows with background and no other class; all others then hold another class.
    None: as it comes."""
    background: Annotated[str, Field(min_length=1)] | None = None
    """The class that `negative_share` takes as background; None: the one with id 0."""
    min_valid: Share = 0.0
    """Least share of a window's pixels that are valid; what lies outside the raster is not."""
    min_labelled: Share = 0.0
    """Least share of a window's pixels with a class: valid, inside the AOI and not ignored."""
    scene_weights: Literal["area", "equal"] = "area"
    """How scenes are chosen: by their area (for windows around a class: by its pixels), or all alike."""
    size_range: tuple[_Pixels, _Pixels] | None = None
    """(least, most) height of the windows that are read, resized to one size; None: all have it."""
    cache: Uri | None = None
    """A folder where histograms are kept for other runs and other processes; None: nowhere."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        balance = self.class_balance
        if balance is not None and not isinstance(balance, str):
            if not any(balance.values()):
                raise ValueError("class_balance names no class with a share; leave it out")
            total = sum(balance.values()) + (self.negative_share or 0.0)
            if total > 1 + _ROUNDING:
                raise ValueError(
                    f"the shares of class_balance and negative_share are {total:g} together, expected "
                    "at most 1"
                )
        if self.background is not None and self.negative_share is None:
            raise ValueError("background is for negative_share, which is not given")
        if self.size_range is not None and self.size_range[0] > self.size_range[1]:
            raise ValueError(f"size_range is {self.size_range}, expected (least, most)")
        return self

    @property
    def looks_at_pixels(self) -> bool:
        """Whether a rule asks what the pixels of a window are."""
        return (
            self.class_balance is not None
            or self.negative_share is not None
            or self.min_valid > 0
            or self.min_labelled > 0
        )
