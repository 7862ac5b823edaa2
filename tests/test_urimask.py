"""What others read of uris: no password, no token, no signature, and no user's name."""

from __future__ import annotations

import doctest
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg import urimask
from geoseg.urimask import masked, masked_values, name_of, told

SECRET = "S3cr/et+=="
NAMES = [
    "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "AWSAccessKeyId", "Signature", "Key-Pair-Id",
    "Policy", "X-Goog-Signature", "GoogleAccessId", "sig", "SIG", "token", "access_token", "api_key", "apikey",
    "subscription-key", "password", "auth", "header.Authorization", "client_secret", "sas",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_value_of_a_parameter_that_gives_access_is_masked(name):
    uri = f"https://host.org/a/b.tif?band=1&{urlencode({name: SECRET})}&zoom=3"
    expected = f"https://host.org/a/b.tif?band=1&{name}=***&zoom=3"
    assert masked(uri) == expected
    assert masked(f"/vsicurl/{uri}") == f"/vsicurl/{expected}"
    assert masked(f"{uri.replace('&', '&amp;')}") == expected.replace("&", "&amp;")
    assert SECRET not in masked(f"a.vrt: '{uri}' cannot be opened")


@pytest.mark.parametrize("name", NAMES)
def test_a_uri_within_a_uri_is_masked_too(name):
    inner = (
        f"https://me:{quote(SECRET, safe='')}@host.org/b.tif?band=1&{urlencode({name: SECRET})}&z=3"
    )
    uri = f"/vsicurl?max_retry=3&url={quote(inner, safe='')}"
    found = masked(uri)
    assert "S3cr" not in found
    assert found.startswith("/vsicurl?max_retry=3&url=https%3A%2F%2F***%40host.org%2Fb.tif")
    assert found.endswith("%26z%3D3")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://me:p%40ss@host:80/a.tif", "https://***@host:80/a.tif"),
        ("https://me:p@ss:w'&rd@host/a.tif", "https://***@host/a.tif"),
        ("https://ghp_1234@host/a.tif", "https://***@host/a.tif"),
        ("zip+https://me:pw@host/a.zip!b.tif", "zip+https://***@host/a.zip!b.tif"),
        ("PG:host=h password='a b' user=me", "PG:host=h password=*** user=me"),
        ("PG:password=abc dbname=d", "PG:password=*** dbname=d"),
        ("postgresql://me:pw@h/d", "postgresql://***@h/d"),
        ("MSSQL:server=h;UID=me;PWD=abc;database=d", "MSSQL:server=h;UID=me;PWD=***;database=d"),
        ("https://h/a.tif#access_token=abc", "https://h/a.tif#access_token=***"),
    ],
)
def test_users_and_passwords_are_masked(uri, expected):
    assert masked(uri) == expected
    assert masked(expected) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "/data/maps/a b.tif",
        "../key=3/token=4/a.tif",
        "C:\\maps\\a.tif",
        "s3://bucket/key/a@2x.tif",
        "/vsis3/bucket/a@2x.tif",
        "https://host.org/a@b.tif?band=1&bbox=1,2,3,4",
        "netcdf:a.nc:red",
        "GTIFF_DIR:2:a.tif",
        "me@host.org",
        "a password of 8 letters",
    ],
)
def test_what_holds_no_secret_stays_as_it_is(uri):
    assert masked(uri) == uri


PIECES = ["https", "://", "/", "?", "&", "&amp;", "%3F", "%26", "%3D", "%40", "=", ";", ":", "@", "sig", "pwd", "a", " ", "'"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_masking_again_changes_nothing(text):
    assert masked(masked(text)) == masked(text)


def test_plain_values_are_masked_wherever_texts_are():
    value = {"a": ["https://h/b?sig=x", 3, None], "b": ({"sig": "y", "u": "s3://k:s@b/c"},)}
    assert masked_values(value) == {
        "a": ["https://h/b?sig=***", 3, None],
        "b": [{"sig": "y", "u": "s3://***@b/c"}],
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/anna/a.tif", "~/a.tif"),
        ("/vsizip//home/anna/a.zip/b.tif", "/vsizip/~/a.zip/b.tif"),
        ("file:///home/anna/a.tif", "file://~/a.tif"),
        ("/Users/Anna Berg/a.tif", "~/a.tif"),
        ("C:\\Users\\Anna Berg\\a.tif", "~\\a.tif"),
        ("netcdf:/home/anna/a.nc:red", "netcdf:~/a.nc:red"),
        ("s3://home/anna/a.tif", "s3://home/anna/a.tif"),
        ("https://h/home/anna/a.tif?sig=1", "https://h/home/anna/a.tif?sig=***"),
        ("/data/home/anna/a.tif", "/data/home/anna/a.tif"),
        ("a.tif", "a.tif"),
    ],
)
def test_home_folders_do_not_tell_whose_they_are(text, expected):
    assert told(text) == expected


def test_the_home_of_this_user_is_found_wherever_it_is(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/srv/people/anna"))
    assert told("/srv/people/anna/a.tif") == "~/a.tif"
    assert told("/srv/people/annabel/a.tif") == "/srv/people/annabel/a.tif"
    monkeypatch.setattr(Path, "home", lambda: Path("/"))
    assert told("/data/a.tif") == "/data/a.tif"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("imagenet", "imagenet"),
        ("../w.pth", "w.pth"),
        ("/home/anna/w.pth", "w.pth"),
        ("C:\\Users\\anna\\w.pth", "w.pth"),
        ("https://me:pw@host/w.pth?token=1", "https://***@host/w.pth?token=***"),
    ],
)
def test_of_a_local_file_only_the_name_is_told(uri, name):
    assert name_of(uri) == name
    assert name_of(name) == name


def test_the_examples_are_true():
    found = doctest.testmod(urimask)
    assert (found.failed, found.attempted) == (0, 3)


def test_uris_that_are_keys_are_masked_where_asked_for():
    found = {"https://host/a.tif?token=1": ["https://host/a.tif?token=1"]}
    assert masked_values(found) == {"https://host/a.tif?token=1": ["https://host/a.tif?token=***"]}
    assert masked_values(found, keys=True) == {
        "https://host/a.tif?token=***": ["https://host/a.tif?token=***"]
    }
