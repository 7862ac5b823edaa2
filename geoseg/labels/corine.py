"""CORINE land cover as BigEarthNet uses it: codes of level 3 in its 19 classes.

Source: G. Sumbul et al., "BigEarthNet-MM: A Large-Scale, Multimodal, Multilabel Benchmark Archive for
Remote Sensing Image Classification and Retrieval", IEEE Geoscience and Remote Sensing Magazine 9 (3),
2021, table 2; the codes are those of the European Environment Agency's CORINE Land Cover nomenclature.
"""

from __future__ import annotations

from typing import Final

from geoseg.classes import ClassMap

_CLASSES: Final = {
    "Urban fabric": (111, 112),
    "Industrial or commercial units": (121,),
    "Arable land": (211, 212, 213),
    "Permanent crops": (221, 222, 223, 241),
    "Pastures": (231,),
    "Complex cultivation patterns": (242,),
    "Land principally occupied by agriculture, with significant areas of natural vegetation": (
        243,
    ),
    "Agro-forestry areas": (244,),
    "Broad-leaved forest": (311,),
    "Coniferous forest": (312,),
    "Mixed forest": (313,),
    "Natural grassland and sparsely vegetated areas": (321, 333),
    "Moors, heathland and sclerophyllous vegetation": (322, 323),
    "Transitional woodland, shrub": (324,),
    "Beaches, dunes, sands": (331,),
    "Inland wetlands": (411, 412),
    "Coastal wetlands": (421, 422),
    "Inland waters": (511, 512),
    "Marine waters": (521, 522, 523),
}
_IGNORED: Final = (122, 123, 124, 131, 132, 133, 141, 142, 332, 334, 335, 423, 999)
"""Roads, ports, airports, mines, dumps, building sites, city parks, sports, bare rock, burnt areas,
glaciers and intertidal flats are in none of the 19 classes; 999 is "not labelled"."""

BIGEARTHNET_19: Final = ClassMap.of(*_CLASSES)
"""The 19 classes in the order of the nomenclature, ids from 0."""
BIGEARTHNET_19_CODES: Final[dict[int, int]] = {
    code: number for number, codes in enumerate(_CLASSES.values()) for code in codes
} | dict.fromkeys(_IGNORED, BIGEARTHNET_19.ignore_id)
"""{code in a reference map: class id}; codes that are in no class are ignored."""
