"""geoseg: semantic segmentation on geospatial imagery.

How data flow, one line a step; everything is on the scene's one grid:

1. `GeoTIFFSource(uri=...)` reads pixels as a `Chip`: data, and where they are valid; so do `MBTilesSource`,
   `LMDBSource`, `StackSource`, `TimeStackSource` and `STACSource`, each with `transforms=(...)`.
2. `WarpedSource` brings pixels of any CRS and resolution onto a `Grid`, window by window.
3. `RasterLabels` and `VectorLabels` read class ids of a `ClassMap` onto that grid.
4. A `Scene` joins image, labels and area of interest; `Scene.of("image.tif", "labels.tif")`.
5. `RandomWindowGeoDataset` and `SlidingWindowGeoDataset` serve windows of scenes to PyTorch.
6. `Learner(classes, Training(model="unet/resnet34")).fit(scenes)` trains; `save` and `load` keep a bundle;
   `open_model` opens what `geoseg export` wrote.
7. `learner.predict(scene, GeoTIFFLabelStore(uri="map.tif"))` writes a georeferenced map.
8. `evaluate(truth, prediction)` compares two `Labels`: one confusion matrix over all pixels; `judging`
   does it while a map is made.
9. An `Experiment` is all of that in one YAML file, for `geoseg train FILE`.

Names are looked up when first used: importing geoseg loads neither torch nor Lightning.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from geoseg.version import __version__

if TYPE_CHECKING:
    from geoseg.aoi import AOI
    from geoseg.classes import ClassInfo, ClassMap
    from geoseg.datasets import (
        CSVWindowedSegmentationDataset,
        ImageFolderDataset,
        LMDBDataset,
        LocalSampler,
        MBTilesMaskWindowedDataset,
        RandomWindowGeoDataset,
        RasterPatchDataset,
        SlidingWindowGeoDataset,
        VolumeDataset,
    )
    from geoseg.errors import GeosegError
    from geoseg.experiment import Experiment
    from geoseg.grid import Grid
    from geoseg.labels import (
        ArrayLabels,
        Evaluator,
        GeoTIFFLabelStore,
        Labels,
        LabelSource,
        LabelStore,
        PixelLabels,
        RasterLabels,
        ScoreAccumulator,
        Scoring,
        VectorLabels,
        VectorLabelStore,
        combine,
        match_polygons,
        merge,
        threshold,
    )
    from geoseg.labels.evaluate import Evaluation, evaluate
    from geoseg.labels.judging import judging
    from geoseg.learner import (
        Learner,
        Prediction,
        SegmentationData,
        SegmentationModule,
        Training,
        VolumeData,
        VolumeModule,
        predict_volume,
    )
    from geoseg.learner.exported import ExportedModel, open_model
    from geoseg.sampling import ClassHistogram, Sampling, WindowIndex, class_counts
    from geoseg.scene import Sample, Scene
    from geoseg.scenes import ScenePattern, SceneTable
    from geoseg.sources import (
        ArraySource,
        Buffer,
        Cast,
        Chip,
        FileVectorSource,
        FillNaN,
        FrameSource,
        GeoTIFFSource,
        InferClass,
        LMDBSource,
        Log,
        MBTilesSource,
        MinMax,
        NpySource,
        OnlyValid,
        Percentile,
        RasterSource,
        Reclass,
        RGBToClass,
        ShardedStore,
        Shift,
        StackSource,
        STACSource,
        Standardize,
        Statistics,
        StoreReader,
        StoreWriter,
        TimeChip,
        TimeStackSource,
        Transform,
        VectorSource,
        VectorTransform,
        WarpedSource,
        materialize,
    )
    from geoseg.spec import Spec, Tagged
    from geoseg.volumes import (
        ArrayVolume,
        Rle,
        VolumeFolderWriter,
        VolumeZip,
        VolumeZipWriter,
        folder_to_zip,
        read_scores,
        scenes_to_zip,
        zip_to_scenes,
    )
    from geoseg.window import Window, sliding, starts

_HOMES = {
    "geoseg.aoi": ("AOI",),
    "geoseg.classes": ("ClassInfo", "ClassMap"),
    "geoseg.datasets": (
        "CSVWindowedSegmentationDataset",
        "ImageFolderDataset",
        "LMDBDataset",
        "LocalSampler",
        "MBTilesMaskWindowedDataset",
        "RandomWindowGeoDataset",
        "RasterPatchDataset",
        "SlidingWindowGeoDataset",
        "VolumeDataset",
    ),
    "geoseg.errors": ("GeosegError",),
    "geoseg.experiment": ("Experiment",),
    "geoseg.grid": ("Grid",),
    "geoseg.labels": (
        "ArrayLabels",
        "Evaluation",
        "Evaluator",
        "GeoTIFFLabelStore",
        "LabelSource",
        "LabelStore",
        "Labels",
        "PixelLabels",
        "RasterLabels",
        "ScoreAccumulator",
        "Scoring",
        "VectorLabelStore",
        "VectorLabels",
        "combine",
        "evaluate",
        "judging",
        "match_polygons",
        "merge",
        "threshold",
    ),
    "geoseg.learner": (
        "Learner",
        "Prediction",
        "SegmentationData",
        "SegmentationModule",
        "Training",
        "VolumeData",
        "VolumeModule",
        "predict_volume",
    ),
    "geoseg.learner.exported": ("ExportedModel", "open_model"),
    "geoseg.sampling": ("ClassHistogram", "Sampling", "WindowIndex", "class_counts"),
    "geoseg.scene": ("Sample", "Scene"),
    "geoseg.scenes": ("ScenePattern", "SceneTable"),
    "geoseg.sources": (
        "ArraySource",
        "Buffer",
        "Cast",
        "Chip",
        "FileVectorSource",
        "FillNaN",
        "FrameSource",
        "GeoTIFFSource",
        "InferClass",
        "LMDBSource",
        "Log",
        "MBTilesSource",
        "MinMax",
        "NpySource",
        "OnlyValid",
        "Percentile",
        "RGBToClass",
        "RasterSource",
        "Reclass",
        "STACSource",
        "ShardedStore",
        "Shift",
        "StackSource",
        "Standardize",
        "Statistics",
        "StoreReader",
        "StoreWriter",
        "TimeChip",
        "TimeStackSource",
        "Transform",
        "VectorSource",
        "VectorTransform",
        "WarpedSource",
        "materialize",
    ),
    "geoseg.spec": ("Spec", "Tagged"),
    "geoseg.volumes": (
        "ArrayVolume",
        "Rle",
        "VolumeFolderWriter",
        "VolumeZip",
        "VolumeZipWriter",
        "folder_to_zip",
        "read_scores",
        "scenes_to_zip",
        "zip_to_scenes",
    ),
    "geoseg.window": ("Window", "sliding", "starts"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AOI",
    "ArrayLabels",
    "ArraySource",
    "ArrayVolume",
    "Buffer",
    "CSVWindowedSegmentationDataset",
    "Cast",
    "Chip",
    "ClassHistogram",
    "ClassInfo",
    "ClassMap",
    "Evaluation",
    "Evaluator",
    "Experiment",
    "ExportedModel",
    "FileVectorSource",
    "FillNaN",
    "FrameSource",
    "GeoTIFFLabelStore",
    "GeoTIFFSource",
    "GeosegError",
    "Grid",
    "ImageFolderDataset",
    "InferClass",
    "LMDBDataset",
    "LMDBSource",
    "LabelSource",
    "LabelStore",
    "Labels",
    "Learner",
    "LocalSampler",
    "Log",
    "MBTilesMaskWindowedDataset",
    "MBTilesSource",
    "MinMax",
    "NpySource",
    "OnlyValid",
    "Percentile",
    "PixelLabels",
    "Prediction",
    "RGBToClass",
    "RandomWindowGeoDataset",
    "RasterLabels",
    "RasterPatchDataset",
    "RasterSource",
    "Reclass",
    "Rle",
    "STACSource",
    "Sample",
    "Sampling",
    "Scene",
    "ScenePattern",
    "SceneTable",
    "ScoreAccumulator",
    "Scoring",
    "SegmentationData",
    "SegmentationModule",
    "ShardedStore",
    "Shift",
    "SlidingWindowGeoDataset",
    "Spec",
    "StackSource",
    "Standardize",
    "Statistics",
    "StoreReader",
    "StoreWriter",
    "Tagged",
    "TimeChip",
    "TimeStackSource",
    "Training",
    "Transform",
    "VectorLabelStore",
    "VectorLabels",
    "VectorSource",
    "VectorTransform",
    "VolumeData",
    "VolumeDataset",
    "VolumeFolderWriter",
    "VolumeModule",
    "VolumeZip",
    "VolumeZipWriter",
    "WarpedSource",
    "Window",
    "WindowIndex",
    "__version__",
    "class_counts",
    "combine",
    "evaluate",
    "folder_to_zip",
    "judging",
    "match_polygons",
    "materialize",
    "merge",
    "open_model",
    "predict_volume",
    "read_scores",
    "scenes_to_zip",
    "sliding",
    "starts",
    "threshold",
    "zip_to_scenes",
]


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'geoseg' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
