"""A look over a file of polygons that was written: GDAL tells nobody when the disk fills up at its end."""

from __future__ import annotations

from pathlib import Path

from geoseg.sources.files.wholetiff import not_written

_AT_ONCE = 1024
"""Features that are read at once."""


def check_features(path: Path, uri: str, *, count: int) -> None:
    """See that a file that GDAL wrote holds all features and, as a GeoPackage, their index.

    Args:
        path: The file as it was written.
        uri: The name that it will have.
        count: Features.

    Raises:
        StoreError: It does not.
    """
    import pyogrio.raw

    try:
        info = pyogrio.read_info(path)
        with pyogrio.raw.open_arrow(
            path, columns=["class_id"], batch_size=_AT_ONCE, use_pyarrow=True
        ) as (_, batches):
            found = sum(batch.num_rows for batch in batches)
    except (RuntimeError, OSError, ValueError) as error:
        raise not_written(uri, error) from error
    if found != count:
        raise not_written(uri, f"it holds {found} features, expected {count}")
    if path.suffix.lower() == ".gpkg" and not info["capabilities"]["fast_spatial_filter"]:
        raise not_written(uri, "it has no spatial index")
