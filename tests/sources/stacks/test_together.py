import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from geoseg.errors import GridError
from geoseg.grid import Grid
from geoseg.sources.array import ArraySource
from geoseg.sources.stacks.together import meets, named, told_apart
from geoseg.sources.warp import WarpedSource

NAMES = st.lists(
    st.lists(st.sampled_from(["1", "2", "red", "0/red", "0/red#2", "1/red"]), max_size=4),
    max_size=4,
)


@given(NAMES)
def test_names_told_apart_are_as_many_and_each_once(names):
    flat = [name for part in names for name in part]
    apart = told_apart(names)

    assert len(apart) == len(set(apart)) == len(flat)
    assert all(
        new == old or not old.isdigit() or new.isdigit() or new.split("/")[1].startswith(old)
        for new, old in zip(apart, flat, strict=True)
    )


@given(NAMES)
def test_a_name_that_is_there_once_is_kept_beside_others_with_names(names):
    flat = [name for part in names for name in part]
    apart = told_apart(names)

    if any(not name.isdigit() for name in flat):
        for old, new in zip(flat, apart, strict=True):
            assert flat.count(old) > 1 or new == old


def test_unnamed_bands_are_numbered_through_only_where_they_repeat():
    assert told_apart([("1", "2", "3"), ("1",)]) == ("1", "2", "3", "4")
    assert told_apart([("3",), ("5",)]) == ("3", "5")
    assert told_apart([("red", "nir"), ("1",), ("1",)]) == ("red", "nir", "1/1", "2/1")


def test_a_made_name_never_takes_one_that_is_there():
    assert told_apart([("red", "0/red"), ("red",)]) == ("0/red#2", "0/red", "1/red")


def test_sources_far_apart_do_not_meet_and_neighbours_over_a_zone_border_do():
    def at(crs, left, top):
        grid = Grid(crs=crs, transform=Affine(10, 0, left, 0, -10, top), height=30, width=50)
        return ArraySource(data=np.ones((30, 50), np.uint8), grid=grid)

    here = at("EPSG:32619", 300_000, 4_100_000)

    to_18 = Transformer.from_crs("EPSG:32619", "EPSG:32618", always_xy=True)
    inside = to_18.transform(300_250, 4_099_850)

    assert meets(at("EPSG:32618", *inside), here)
    assert meets(at("EPSG:32619", 300_490, 4_100_000), here)
    assert not meets(at("EPSG:32619", 300_500, 4_100_000), here)
    assert not meets(at("EPSG:32631", 300_000, 4_100_000), here)
    with pytest.raises(GridError, match="CRS"):
        meets(ArraySource(data=np.ones((3, 5))), here)


def test_a_source_is_called_by_its_first_file_or_its_kind():
    array = ArraySource(data=np.ones((3, 5)))

    assert named(WarpedSource(source="a.tif", onto="b.tif")) == "a.tif"
    assert named(array) == "ArraySource"
