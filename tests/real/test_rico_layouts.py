"""The layouts on real patches of the data sets: keys and tensors by hand, bands counted by rasterio."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import rasterio

from geoseg.convert.layouts import layout_of
from geoseg.convert.layouts.major_tom import with_cloud_mask
from geoseg.convert.patches import find_patches, missing_files
from geoseg.errors import SourceError
from geoseg.rasterpath import georeference_optional

S2 = "B01 B02 B03 B04 B05 B06 B07 B08 B09 B11 B12 B8A"
ENMAP = (
    "ENMAP01-____L2A-DT0000004950_20221103T162438Z_001_V010110_20221118T145147Z-Y01460273_X03110438"
)
SAMPLES = {
    "bigearthnet": (
        {
            "s1": "BigEarthNet/BigEarthNet-S1",
            "s2": "BigEarthNet/BigEarthNet-S2",
            "map": "BigEarthNet/Reference_Maps",
        },
        {
            "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_48": "VH VV",
            "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_75_43": S2,
            "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57_reference_map": "Data",
        },
    ),
    "hyspecnet-11k": (
        {"images": "HySpecNet-11k"},
        {ENMAP: " ".join(f"B{number}" for number in range(1, 225))},
    ),
    "uc-merced": (
        {"images": "UCMerced_LandUse"},
        dict.fromkeys(["airplane00", "airplane42", "forest10", "forest99"], "Red Green Blue"),
    ),
    "eurosat-multi-spectral": (
        {"images": "EuroSAT_MS"},
        dict.fromkeys(
            ["AnnualCrop_1", "Pasture_300", "SeaLake_3000"],
            "B01 B02 B03 B04 B05 B06 B07 B08 B09 B10 B11 B12 B08A",
        ),
    ),
    "ssl4eo-s12": (
        {"s1": "SSL4EO-S12/s1", "l1c": "SSL4EO-S12/s2c", "l2a": "SSL4EO-S12/s2a"},
        {
            "s1_0000200_S1A_IW_GRDH_1SDV_20200607T010800_20200607T010825_032904_03CFBA_D457": "VH VV",
            "s2c_0000200_20200604T054639_20200604T054831_T43RCP": (
                "B1 B2 B3 B4 B5 B6 B7 B8 B9 B10 B11 B12 B8A"
            ),
            "s2a_0000200_20200604T054639_20200604T054831_T43RCP": (
                "B1 B2 B3 B4 B5 B6 B7 B8 B9 B11 B12 B8A"
            ),
        },
    ),
    "major-tom-core": (
        {"s2": "Major-TOM-Core/S2L2A"},
        {"0U_199R_S2A_MSIL2A_20220706T085611_N0400_R007_T33NZA_20220706T153419": S2},
    ),
    "hydro": (
        {"images": "Hydro"},
        dict.fromkeys(["patch_0", "patch_1"], "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B11 B12"),
    ),
}


@pytest.fixture
def samples(data_folder):
    folder = data_folder / "rico"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: the samples are not in GEOSEG_DATA")
    return folder


def sources_of(name, samples):
    return {group: str(samples / folder) for group, folder in SAMPLES[name][0].items()}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_have_these_keys_and_tensors_in_this_order(samples, name):
    layout = layout_of(name)
    patches = find_patches(layout, sources_of(name, samples))
    found = {patch.key: " ".join(layout.group(patch.group).bands) for patch in patches}
    assert list(found.items()) == list(SAMPLES[name][1].items())


@pytest.mark.parametrize("name", SAMPLES)
def test_every_file_of_a_sample_is_there_with_all_its_bands_named(samples, name):
    layout = layout_of(name)
    patches = find_patches(layout, sources_of(name, samples))
    assert missing_files(layout, patches) == []
    for patch in patches:
        for path, bands in layout.group(patch.group).files(patch):
            with georeference_optional(), rasterio.open(path) as file:
                assert [number for _, number in bands] == list(file.indexes), path


def test_files_that_belong_to_no_tensor_are_left_out(samples):
    taken = set()
    for name in SAMPLES:
        layout = layout_of(name)
        for patch in find_patches(layout, sources_of(name, samples)):
            taken |= set(layout.group(patch.group).paths(patch))
    left = [path for path in samples.rglob("*") if path.is_file() and str(path) not in taken]
    kinds = Counter(path.name.rsplit("-", 1)[-1][:3] for path in left)
    # The note on where they come from, quicklooks and thumbnails, metadata.json, the cloud mask.
    assert kinds == {"SOU": 1, "QL_": 10, "THU": 1, "met": 3, "clo": 1, "thu": 1}


def test_the_cloud_mask_of_the_sample_is_there(samples):
    layout = with_cloud_mask()
    (patch,) = find_patches(layout, sources_of("major-tom-core", samples))
    assert missing_files(layout, [patch]) == []
    assert Path(layout.group("s2").files(patch)[-1][0]).name == "cloud_mask.tif"


def test_radar_and_both_levels_of_a_location_are_one_sample(samples):
    patches = find_patches(layout_of("ssl4eo-s12"), sources_of("ssl4eo-s12", samples))
    assert [patch.sample for patch in patches] == ["0000200"] * 3


def test_a_folder_that_is_mistaken_is_told(samples):
    with pytest.raises(SourceError, match="one level lower: name a folder below, such as s1"):
        find_patches(layout_of("ssl4eo-s12"), {"s1": str(samples / "SSL4EO-S12")})
    with pytest.raises(SourceError, match="looks like that of --bigearthnet-s2-dir"):
        find_patches(layout_of("bigearthnet"), {"s1": str(samples / "BigEarthNet/BigEarthNet-S2")})
    with pytest.raises(SourceError, match=r"would fit the layout .*hydro \(--dataset-dir\)"):
        find_patches(layout_of("eurosat-rgb"), {"images": str(samples / "Hydro")})
    # L2A named as L1C: all is there but band 10.
    layout = layout_of("ssl4eo-s12")
    patches = find_patches(layout, {"l1c": str(samples / "SSL4EO-S12/s2a")})
    (item,) = missing_files(layout, patches)
    assert [Path(file).name for file in item.files] == ["B10.tif"]
