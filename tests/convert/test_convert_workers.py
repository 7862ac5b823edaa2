"""When worker processes pay."""

import pytest

from geoseg.convert.running.stream import helpful_workers


@pytest.mark.parametrize(
    ("patches", "seconds", "nbytes", "cores", "expected"),
    [
        (11_000, 0.09, 7_300_000, 2, 2),  # long and compressed: 224 bands of deflate
        (11_000, 0.09, 7_300_000, 1, 0),
        (20, 0.09, 7_300_000, 8, 0),  # done before they have started
        (500_000, 0.0009, 160_000, 2, 0),  # sending costs what reading does
        (500_000, 0.0009, 160_000, 8, 8),
        (500_000, 0.0009, 160_000, 64, 16),
        (0, 0.0, 0, 8, 0),
    ],
)
def test_workers_are_started_only_where_they_make_it_sooner(
    patches, seconds, nbytes, cores, expected
):
    assert helpful_workers(patches, seconds, nbytes, cores=cores) == expected
