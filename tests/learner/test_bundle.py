"""Bundles: what goes in comes out, and the same goes in with the same bytes."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load as load_tensors
from torch import nn

from geoseg import yamltext
from geoseg.errors import BundleError, StoreError
from geoseg.learner import Learner
from geoseg.learner.bundle import BundleInfo, load_bundle, save_bundle
from geoseg.learner.bundle.network import check_network
from geoseg.learner.bundle.versions import versions_for
from geoseg.learner.training import Training
from geoseg.version import __version__
from tests.learner.bundles import MEMBERS, facts, info, members_of, weights, write_zip


def same(one, two):
    return one.keys() == two.keys() and all(
        one[key].dtype == two[key].dtype and torch.equal(one[key], two[key]) for key in one
    )


def test_a_bundle_brings_back_all_that_it_was_given(tmp_path):
    uri = str(tmp_path / "new" / "a.zip")
    save_bundle(uri, info(), weights())
    found, tensors = load_bundle(uri)
    assert found == info()
    assert same(tensors, weights())
    assert found.histogram == {"dark": 12, "água funda": 0}
    assert found.epochs == [{"epoch": 0, "train_loss": 0.1}, {"epoch": 1, "train_loss": 0.05}]


def test_a_bundle_without_data_history_and_histogram_comes_back(tmp_path):
    uri = str(tmp_path / "a.zip")
    given = info(data=None, history=(), histogram=None, network="__main__.Net")
    save_bundle(uri, given, {})
    assert load_bundle(uri) == (given, {})


def test_the_members_are_readable_without_geoseg(tmp_path):
    uri = str(tmp_path / "a.zip")
    save_bundle(uri, info(), weights())
    members = members_of(uri)
    assert list(members) == MEMBERS
    assert same(load_tensors(members["model.safetensors"]), weights())
    fields = yamltext.load(members["geoseg.yaml"].decode())
    assert (fields["format"], fields["histogram"]) == (
        "geoseg-bundle/2",
        {"dark": 12, "água funda": 0},
    )
    assert "history" not in fields
    assert json.loads(members["history.json"])[1] == {"epoch": 1, "train_loss": 0.05}
    told = json.loads(members.pop("manifest.json"))["members"]
    assert told.keys() == members.keys()
    for name, content in members.items():
        expected = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        assert told[name] == expected


def test_numbers_that_are_none_become_null_in_the_file_and_nan_in_the_learner(tmp_path):
    uri = str(tmp_path / "a.zip")
    rows = ({"epoch": 0.0, "iou": math.nan}, {"epoch": 1.0, "iou": math.inf})
    save_bundle(uri, info(history=rows), weights())
    assert json.loads(members_of(uri)["history.json"])[0] == {"epoch": 0, "iou": None}
    found, _ = load_bundle(uri)
    assert found == info(history=rows)
    assert [row["epoch"] for row in found.epochs] == [0, 1]
    assert all(math.isnan(row["iou"]) for row in found.epochs)


def test_an_info_with_a_history_survives_yaml():
    given = info(history=({"epoch": 0.0, "iou": math.nan},))
    assert BundleInfo.from_yaml(given.to_yaml()) == given
    assert hash(BundleInfo.from_yaml(given.to_yaml())) == hash(given)


def test_equal_content_gives_equal_bytes_whatever_the_order_of_weights(tmp_path):
    one, two = tmp_path / "1.zip", tmp_path / "2.zip"
    save_bundle(str(one), info(), weights())
    save_bundle(str(two), info(), dict(reversed(weights().items())))
    assert one.read_bytes() == two.read_bytes()
    loaded, tensors = load_bundle(str(one))
    save_bundle(str(two), loaded, tensors)
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as file:
        assert {member.date_time for member in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {member.create_system for member in file.infolist()} == {3}
    assert not list(tmp_path.glob(".*"))


_SAVES = """
import sys
from geoseg.learner.bundle import save_bundle
from tests.learner.bundles import info, weights
save_bundle(sys.argv[1], info(), weights())
"""


@pytest.mark.slow
def test_another_process_with_other_hashes_writes_the_same_bytes(tmp_path):
    one, two = tmp_path / "1.zip", tmp_path / "2.zip"
    save_bundle(str(one), info(), weights())
    root = str(Path(__file__).parent.parent.parent)
    environment = {"PYTHONPATH": root, "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", _SAVES, str(two)], check=True, env=environment)
    assert one.read_bytes() == two.read_bytes()


def old_info(**changes):
    """The YAML of a bundle as it was before there were manifests."""
    fields = info(histogram=None, history=()).model_dump(mode="json")
    for name in ("network", "histogram", "versions", "history"):
        del fields[name]
    return yamltext.dump({**fields, "format": "geoseg-bundle/1", **changes}).encode()


def tensors_alone(path):
    save_bundle(str(path), info(), weights())
    return members_of(path)["model.safetensors"]


def test_a_bundle_of_the_first_format_is_read_and_written_anew_in_the_newest(tmp_path):
    tensors = tensors_alone(tmp_path / "a.zip")
    uri = write_zip(tmp_path / "b.zip", {"model.safetensors": tensors, "geoseg.yaml": old_info()})
    found, loaded = load_bundle(uri)
    assert found.format == "geoseg-bundle/1"
    assert (found.history, found.histogram, found.versions, found.network) == ((), None, {}, None)
    assert found.data == facts()
    assert same(loaded, weights())
    save_bundle(uri, found, loaded)
    again, _ = load_bundle(uri)
    assert again == found.model_copy(update={"format": "geoseg-bundle/2"})


@pytest.mark.parametrize(
    "found", ["geoseg-bundle/2", "geoseg-bundle/3", None, 7, ["geoseg-bundle/1"]]
)
def test_a_bundle_without_a_manifest_is_of_the_first_format_or_refused(tmp_path, found):
    tensors = tensors_alone(tmp_path / "a.zip")
    members = {"model.safetensors": tensors, "geoseg.yaml": old_info(format=found)}
    with pytest.raises(BundleError, match=r"b\.zip: .*format"):
        load_bundle(write_zip(tmp_path / "b.zip", members))


def test_tied_weights_are_written_for_each_name(tmp_path):
    uri, tied = str(tmp_path / "a.zip"), torch.rand(4)
    save_bundle(uri, info(), {"a": tied, "b": tied, "c": tied[1:3]})
    assert same(load_bundle(uri)[1], {"a": tied, "b": tied, "c": tied[1:3]})


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "holds int as 'extra'"), (torch.eye(3).to_sparse(), "cannot be written")],
)
def test_a_state_that_is_no_tensor_is_refused_by_name(tmp_path, value, text):
    with pytest.raises(BundleError, match=text):
        save_bundle(str(tmp_path / "a.zip"), info(), {"extra": value})
    assert not list(tmp_path.iterdir())


def test_a_bundle_goes_to_a_local_path_only():
    with pytest.raises(StoreError, match="local paths only"):
        save_bundle("s3://bucket/a.zip", info(), weights())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"in_channels": 3}, "the data have 2 bands"),
        ({"in_channels": 0, "data": None}, "greater than or equal to 1"),
        ({"histogram": {"dark": 1, "sea": 2}}, "no class: sea"),
        ({"histogram": {"dark": -1}}, "greater than or equal to 0"),
    ],
)
def test_an_info_that_contradicts_itself_is_refused(changes, text):
    with pytest.raises(ValidationError, match=text):
        info(**changes)


class Net(nn.Module):
    """A network of ones own."""


def test_a_network_of_ones_own_is_asked_for_by_its_name():
    given = info(network="fields.Net", training={"model": "custom"})
    with pytest.raises(BundleError, match=r"fields\.Net; pass it: .*model=Net\(\.\.\.\)"):
        check_network("a.zip", given, None)
    check_network("a.zip", given, Net())  # only defined elsewhere
    with pytest.warns(UserWarning, match=r"weights of fields\.Net, but torch\S*\.Conv2d is given"):
        check_network("a.zip", given, nn.Conv2d(1, 1, 1))


def test_an_old_bundle_asks_for_a_network_without_a_name():
    given = info(training={"model": "custom"})
    with pytest.raises(BundleError, match=r"given in Python; pass it: .*model=MyNetwork\(\.\.\.\)"):
        check_network("a.zip", given, None)
    check_network("a.zip", given, Net())


def test_versions_are_those_of_what_is_installed():
    found = versions_for("unet")
    assert found["geoseg"] == __version__
    assert found["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "timm" not in found
    assert "timm" in versions_for("unet/resnet18")


SECRETS = ("anna", "S3cret", "me:pw")


@pytest.mark.parametrize(
    ("weights_uri", "told"),
    [
        ("/home/anna/nets/w.pth", "w.pth"),
        ("https://me:pw@host/w.pth?v=2&sig=S3cret", "https://***@host/w.pth?v=2&sig=***"),
        ("imagenet", "imagenet"),
    ],
)
def test_a_bundle_does_not_tell_of_the_machine_or_its_secrets(tmp_path, weights_uri, told):
    training = Training(
        model="unet/resnet18", weights=weights_uri, sampling={"cache": "/home/anna/cache"}
    )
    uri = str(tmp_path / "a.zip")
    save_bundle(uri, info(training=training), weights())
    members = members_of(uri)
    texts = {name: content for name, content in members.items() if name != "model.safetensors"}
    assert not [name for name, text in texts.items() for s in SECRETS if s.encode() in text]
    item = json.loads(members["mlm.json"])["properties"]
    assert item["mlm:pretrained_source"] == item["mlm:hyperparameters"]["weights"] == told
    found = load_bundle(uri)[0].training
    assert (found.weights, found.sampling.cache) == (told, None)
    assert found.model_copy(update={"weights": None}) == Training(model="unet/resnet18")
    assert training.weights == weights_uri


def test_what_tells_models_apart_does_not_hang_on_places(tmp_path):
    classes = info().classes
    options = {"model_options": {"width": 4, "depth": 2}}
    digests = set()
    for cache in (None, "/home/anna/cache", "/tmp/other"):
        learner = Learner(classes, Training(**options, sampling={"cache": cache}))
        learner._module = learner._build(2)
        learner.module.load_state_dict({k: torch.zeros_like(v) for k, v in learner.module.state_dict().items()})  # fmt: skip
        learner.save(str(tmp_path / "a.zip"))
        digests |= {learner._digest(), Learner.load(str(tmp_path / "a.zip"))._digest()}
    assert len(digests) == 1
