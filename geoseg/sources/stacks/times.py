"""Times as fields: dates and moments, kept as ISO text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator


def to_iso(value: Any) -> str:
    """A date or a moment as ISO text; a moment with a zone is given in UTC.

    >>> to_iso(date(2020, 6, 1)), to_iso("2020-06-01T12:30:00+02:00")
    ('2020-06-01', '2020-06-01T10:30:00Z')

    Raises:
        ValueError: It is neither, nor the ISO text of one.
    """
    if isinstance(value, str):
        value = _from_iso(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else _in_utc(value)
        return str(moment.isoformat()).replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError(
        f"{value!r} is no time, expected a date, a datetime or ISO text such as 2020-06-01"
    )


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(
            f"{moment.isoformat()!r} lies outside the years 1 to 9999 in UTC, expected a time within; "
            "leave out its zone"
        ) from error


def moment_of(iso: str) -> datetime:
    """For comparing: a date is its first moment, a moment without a zone is in UTC."""
    moment = datetime.fromisoformat(iso)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _from_iso(text: str) -> date:
    for kind in (date, datetime):
        try:
            return kind.fromisoformat(text)
        except ValueError:
            pass
    raise ValueError(
        f"{text!r} is no time, expected ISO text such as 2020-06-01 or 2020-06-01T10:30:00Z"
    )


Time = Annotated[str, BeforeValidator(to_iso)]
"""A field for a date or a moment as ISO text; takes `datetime.date` and `datetime.datetime` too."""
