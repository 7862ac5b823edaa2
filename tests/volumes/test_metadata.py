"""What a zip of volumes tells beyond its columns."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import SourceError
from geoseg.volumes.metadata import METADATA_KEY, VolumeFacts, VolumeMetadata

TRANSFORM = Affine(10, 0, 500_000, 0, -10, 4_000_000)


def metadata(names=("b.npy", "a.npy")):
    facts = {
        name: VolumeFacts(crs="EPSG:32633", transform=TRANSFORM, times=("2020-01-01", "2020-02-01"))
        for name in names
    }
    return VolumeMetadata(image_axes="DHW", rle_order="hwd", classes=("a", "b"), volumes=facts)


def test_it_comes_back_through_a_parquet_file(tmp_path):
    table = pa.table({"image": ["a.npy"]}).replace_schema_metadata(metadata().to_schema())
    pq.write_table(table, tmp_path / "train.pq")
    found = VolumeMetadata.from_schema(
        pq.read_schema(tmp_path / "train.pq").metadata, where="train.pq"
    )
    assert found == metadata()
    facts = found.volumes["a.npy"]
    assert facts.crs == CRS.from_epsg(32633)
    assert facts.transform == TRANSFORM


def test_its_bytes_do_not_depend_on_the_order_of_the_volumes():
    assert metadata().to_schema() == metadata(("a.npy", "b.npy")).to_schema()
    assert json.loads(metadata().to_schema()[METADATA_KEY])["format"] == 1


def test_a_file_of_others_tells_nothing():
    assert VolumeMetadata.from_schema({b"pandas": b"{}"}, where="train.pq") is None
    assert VolumeMetadata.from_schema(None, where="train.pq") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "Invalid JSON"),
        (b'{"format": 2, "image_axes": "HWD", "rle_order": "dhw"}', "format"),
        (b'{"format": 1, "image_axes": "WHD", "rle_order": "dhw"}', "image_axes"),
    ],
)
def test_damaged_metadata_are_told_with_the_file(text, said):
    with pytest.raises(SourceError, match=f"(?s)^data.zip: train.pq: .*{said}"):
        VolumeMetadata.from_schema({METADATA_KEY: text}, where="data.zip: train.pq")
