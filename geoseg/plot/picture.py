"""Picture: a matplotlib Figure that a notebook shows by itself. Imports matplotlib."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class Picture(Figure):
    """A Figure without pyplot; notebooks show it wherever it is the value of a cell."""

    def _repr_png_(self) -> bytes:
        # Without pyplot no backend has told the notebook how to draw a Figure.
        png = io.BytesIO()
        self.savefig(png, format="png", dpi=100)
        return png.getvalue()
