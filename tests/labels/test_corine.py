"""The codes of CORINE in BigEarthNet's classes: told here from the levels of the codes."""

from __future__ import annotations

from geoseg.labels.corine import BIGEARTHNET_19, BIGEARTHNET_19_CODES

LEVEL_2 = {
    11: "Urban fabric",
    21: "Arable land",
    22: "Permanent crops",
    41: "Inland wetlands",
    51: "Inland waters",
    52: "Marine waters",
}
"""Classes that hold all codes of a group."""
ALONE = {
    121: "Industrial or commercial units",
    231: "Pastures",
    241: "Permanent crops",
    242: "Complex cultivation patterns",
    243: "Land principally occupied by agriculture, with significant areas of natural vegetation",
    244: "Agro-forestry areas",
    311: "Broad-leaved forest",
    312: "Coniferous forest",
    313: "Mixed forest",
    321: "Natural grassland and sparsely vegetated areas",
    322: "Moors, heathland and sclerophyllous vegetation",
    323: "Moors, heathland and sclerophyllous vegetation",
    324: "Transitional woodland, shrub",
    331: "Beaches, dunes, sands",
    333: "Natural grassland and sparsely vegetated areas",
    421: "Coastal wetlands",
    422: "Coastal wetlands",
}
CORINE = [
    *range(111, 113), *range(121, 125), *range(131, 134), 141, 142, *range(211, 214), *range(221, 224), 231,
    *range(241, 245), *range(311, 314), *range(321, 325), *range(331, 336), 411, 412, *range(421, 424), 511,
    512, *range(521, 524),
]  # fmt: skip


def test_all_44_codes_and_that_for_unlabelled_are_known():
    assert len(CORINE) == 44
    assert sorted(BIGEARTHNET_19_CODES) == [*CORINE, 999]


def test_codes_lead_to_the_classes_of_their_level():
    for code, target in BIGEARTHNET_19_CODES.items():
        name = None if target == 255 else BIGEARTHNET_19.name_of(target)
        expected = LEVEL_2.get(code // 10) or ALONE.get(code)
        if expected:
            assert name == expected
        else:
            assert target == 255, code
    ignored = [code for code, target in BIGEARTHNET_19_CODES.items() if target == 255]
    assert ignored == [122, 123, 124, 131, 132, 133, 141, 142, 332, 334, 335, 423, 999]


def test_there_are_19_classes_and_each_has_a_code():
    assert len(BIGEARTHNET_19) == 19
    assert {*BIGEARTHNET_19_CODES.values()} == {*range(19), 255}
    assert BIGEARTHNET_19.names[:3] == (
        "Urban fabric",
        "Industrial or commercial units",
        "Arable land",
    )
