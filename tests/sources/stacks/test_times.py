from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from geoseg.sources.stacks.times import moment_of, to_iso
from geoseg.sources.timestack import TimeStackSource


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (date(2020, 6, 1), "2020-06-01"),
        ("2020-06-01", "2020-06-01"),
        ("20200601", "2020-06-01"),
        (datetime(2020, 6, 1, 10, 30), "2020-06-01T10:30:00"),
        (datetime(2020, 6, 1, 10, 30, tzinfo=UTC), "2020-06-01T10:30:00Z"),
        (datetime(2020, 6, 1, 0, 30, tzinfo=timezone(timedelta(hours=2))), "2020-05-31T22:30:00Z"),
        ("2020-06-01T10:30:00.024Z", "2020-06-01T10:30:00.024000Z"),
        ("2020-06-01 10:30", "2020-06-01T10:30:00"),
    ],
)
def test_dates_and_moments_become_one_form_of_text(given, text):
    assert to_iso(given) == text
    assert to_iso(text) == text


@pytest.mark.parametrize("given", ["June", "2020-13-01", "", "2020", 2020, None])
def test_what_is_no_time_is_told(given):
    with pytest.raises(ValueError, match=r"is no time, expected .*ISO text such as 2020-06-01"):
        to_iso(given)


def test_a_date_is_its_first_moment_and_no_zone_is_utc():
    assert moment_of("2020-06-01") == moment_of("2020-06-01T00:00:00Z")
    assert moment_of("2020-06-01T10:30:00") == datetime(2020, 6, 1, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize("given", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:30:00-01:00"])
def test_a_moment_that_utc_does_not_have_is_told(given):
    with pytest.raises(ValueError, match=r"lies outside the years 1 to 9999 in UTC"):
        to_iso(given)
    with pytest.raises(ValidationError, match=r"lies outside the years 1 to 9999 in UTC"):
        TimeStackSource(times=(given, "2020-01-01"), sources=("a.tif", "b.tif"))
