"""Pipeline: the steps from raw layers to training data, as one YAML file."""

from __future__ import annotations

from collections import Counter
from typing import Self

from pydantic import Field, model_validator

from geoseg.prepare.pipeline.step import Step, StepField
from geoseg.spec import Spec, Uri


class Pipeline(Spec):
    """Steps that are done one after another; what one writes the next may read.

    ```yaml
    output: prepared            # log and manifest
    seed: 7
    steps:
      - {type: masks, vectors: buildings.geojson, reference: image.mbtiles, out: prepared/masks}
      - {type: tile, image: image.mbtiles, masks: prepared/masks, out: prepared/tiles, patch_size: 256}
      - {type: split, index: prepared/tiles/index.parquet, out: prepared/index.parquet, block_m: 200, buffer_m: 20}
      - {type: check, index: prepared/index.parquet, report: prepared/check}
    ```
    """

    steps: tuple[StepField, ...] = Field(min_length=1)
    """In order."""
    output: Uri
    """The folder of the log and the manifest; it is made when it is missing."""
    seed: int = 0
    """For steps that draw random numbers and name no seed of their own."""

    @model_validator(mode="after")
    def _writes_once(self) -> Self:
        counts = Counter(uri for step in self.steps for uri in step.outputs())
        if twice := [uri for uri, count in counts.items() if count > 1]:
            raise ValueError(
                f"{len(twice)} outputs are written by two steps, {twice[0]} first; give each step an out of its "
                "own"
            )
        return self

    @property
    def seeded(self) -> tuple[Step, ...]:
        """The steps with the pipeline's seed where they have none."""
        return tuple(step.seeded(self.seed) for step in self.steps)
