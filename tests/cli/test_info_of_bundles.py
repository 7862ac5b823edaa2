"""geoseg info of bundles: what a model is, how its training went, and whether the file is whole."""

from __future__ import annotations

import json

import pytest

from geoseg import yamltext
from geoseg.classes import ClassMap
from geoseg.learner.bundle import save_bundle
from tests.learner.bundles import info, members_of, weights, with_manifest, write_zip

HISTORY = (
    {"epoch": 0.0, "train_loss": 0.9, "valid_mean_iou": 0.25},
    {"epoch": 1.0, "train_loss": 0.5, "valid_mean_iou": 0.75},
    {"epoch": 2.0, "train_loss": 0.1, "valid_mean_iou": float("nan")},
)


@pytest.fixture
def bundle(tmp_path):
    uri = str(tmp_path / "bundle.zip")
    save_bundle(uri, info(history=HISTORY, network="nets.Own"), weights())
    return uri


def told(geoseg, path):
    found = geoseg("info", path, "--json")
    assert found.code == 0, found.err
    return json.loads(found.out)


def test_info_tells_the_last_and_the_best_epoch(geoseg, bundle):
    found = told(geoseg, bundle)["history"]
    assert found == {
        "epochs": 3,
        "last": {"epoch": 2, "train_loss": 0.1, "valid_mean_iou": None},
        "best": {"epoch": 1, "train_loss": 0.5, "valid_mean_iou": 0.75},
    }


def test_info_tells_classes_pixels_network_versions_and_checksums(geoseg, bundle):
    found = told(geoseg, bundle)
    assert found["classes"] == {"3": "dark", "1": "água funda"}
    assert found["histogram"] == {"dark": 12, "água funda": 0}
    assert found["network"] == "nets.Own"
    assert found["versions"] == {"geoseg": "0.1.0", "torch": "2.13.0+cpu"}
    assert found["checksums"] == "ok"
    assert found["weights"] == 3 * 2 * 5 + 2 + 2 + 1
    lines = [" ".join(line.split()) for line in geoseg("info", bundle).out.splitlines()]
    for line in ("água funda 0", "checksums ok", "valid_mean_iou 0.75", "torch 2.13.0+cpu"):
        assert line in lines


def test_info_of_a_model_without_a_training_or_validation_says_none(geoseg, bundle):
    save_bundle(bundle, info(history=()), weights())
    assert told(geoseg, bundle)["history"] is None
    save_bundle(bundle, info(history=({"epoch": 0.0},), histogram=None), weights())
    found = told(geoseg, bundle)
    assert (found["history"]["best"], found["histogram"]) == (None, None)
    assert geoseg("info", bundle).code == 0


def test_info_of_an_old_bundle_says_that_it_has_no_checksums(geoseg, bundle):
    members = members_of(bundle)
    fields = yamltext.load(members["geoseg.yaml"].decode()) | {"format": "geoseg-bundle/1"}
    old = {"model.safetensors": members["model.safetensors"]}
    write_zip(bundle, {**old, "geoseg.yaml": yamltext.dump(fields)})
    found = told(geoseg, bundle)
    assert (found["format"], found["checksums"]) == ("geoseg-bundle/1", None)


def test_a_bundle_that_is_damaged_or_cut_is_told_in_one_line(geoseg, bundle):
    with open(bundle, "rb") as file:  # noqa: PTH123
        whole = file.read()
    for content in (whole[:-400], whole.replace(b"dark", b"dork", 1)):
        with open(bundle, "wb") as file:  # noqa: PTH123
            file.write(content)
        found = geoseg("info", bundle)
        assert found.code == 1
        assert found.err.count("\n") == 1
        assert f"{bundle}: is no geoseg bundle, or is damaged" in found.err


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x05\x06"])
def test_a_zip_that_is_none_is_told_of_as_a_bundle(geoseg, bundle, content):
    with open(bundle, "wb") as file:  # noqa: PTH123
        file.write(content)
    found = geoseg("info", bundle)
    assert (found.code, found.err.count("\n")) == (1, 1)
    assert f"{bundle}: is no geoseg bundle, or is damaged" in found.err


EVIL = "\x1b[2J\x1b]0;title\x07 a\nb \u202e c"


def test_a_terminal_does_not_obey_what_is_in_a_bundle(geoseg, bundle):
    classes = ClassMap.of("dark", EVIL)
    save_bundle(bundle, info(classes=classes, histogram={EVIL: 3}, network=EVIL), weights())
    found = geoseg("info", bundle)
    lines = found.out.splitlines()
    shown = r"\x1b[2J\x1b]0;title\x07 a\nb \u202e c"
    assert sum(shown in line for line in lines) == 3
    assert all(line.isprintable() for line in lines)
    assert told(geoseg, bundle)["network"] == EVIL


def test_a_terminal_does_not_obey_errors_about_a_bundle(geoseg, bundle):
    members = members_of(bundle)
    text = members["geoseg.yaml"].replace(b"in_channels:", b'"\\e[2J": 1\nin_channels:')
    write_zip(bundle, with_manifest({**members, "geoseg.yaml": text}))
    found = geoseg("info", bundle)
    assert (found.code, found.err.count("\n")) == (1, 1)
    assert r"(\x1b[2J: unknown key" in found.err


def test_info_of_an_older_bundle_does_not_tell_its_secrets(geoseg, bundle):
    members = members_of(bundle)
    uri = b'network: "https://me:S3cret@host/net?sig=S3cret"'
    text = members["geoseg.yaml"].replace(b"network: nets.Own", uri)
    write_zip(bundle, with_manifest({**members, "geoseg.yaml": text}))
    assert told(geoseg, bundle)["network"] == "https://***@host/net?sig=***"
    assert "S3cret" not in geoseg("info", bundle).out
