"""What is given as features: what is none is told in words."""

import geopandas as gpd
import pytest
from shapely.geometry import box

from geoseg.errors import SourceError
from geoseg.prepare.given import as_vectors
from geoseg.sources.vector import FileVectorSource, FrameSource

FRAME = gpd.GeoDataFrame({"a": [1]}, geometry=[box(0, 0, 1, 1)], crs="EPSG:32619")


def test_paths_sources_fields_and_frames_are_features(tmp_path):
    source = FileVectorSource(uri=str(tmp_path / "a.gpkg"))
    for given in (tmp_path / "a.gpkg", source.uri, source, {"type": "file", "uri": source.uri}):
        assert as_vectors(given) == source
    assert as_vectors(FRAME) == FrameSource(frame=FRAME)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (FRAME.set_crs(None, allow_override=True), "zones: frame has no CRS; assign one with"),
        (gpd.GeoDataFrame({"a": [1]}), "zones: frame has no geometry column"),
        (None, "zones: got NoneType, expected a path, a VectorSource, or a GeoDataFrame"),
        ({"type": "file", "url": "a.gpkg"}, "zones: unknown key; nearest known key: uri"),
    ],
)
def test_what_is_no_source_of_features_is_told_in_words(given, told):
    with pytest.raises(SourceError) as caught:
        as_vectors(given, name="zones")
    assert str(caught.value).startswith(told)
