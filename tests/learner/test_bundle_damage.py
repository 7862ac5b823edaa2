"""Bundles that are damaged or made to do harm: one error each, with the file's name."""

from __future__ import annotations

import json
import stat
import struct
import zipfile

import numpy as np
import pytest
import torch

from geoseg.errors import BundleError
from geoseg.learner.bundle import load_bundle, save_bundle
from tests.learner.bundles import MEMBERS, info, members_of, weights, with_manifest, write_zip


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "bundle.zip"
    save_bundle(str(path), info(), weights())
    return path


def refused(path, text=""):
    with pytest.raises(BundleError, match=text) as caught:
        load_bundle(str(path))
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 900


def test_a_bundle_that_ends_early_is_refused_wherever_it_ends(bundle):
    whole = bundle.read_bytes()
    for end in np.linspace(0, len(whole) - 1, 60).astype(int):
        bundle.write_bytes(whole[:end])
        refused(bundle, r"is no geoseg bundle, or is damaged \(.+\); expected a zip with")


def test_a_changed_byte_is_found_or_changes_nothing(bundle):
    """What is not found are dates and the like in the zip's own records."""
    whole, rng = bundle.read_bytes(), np.random.default_rng(0)
    missed = 0
    for place in rng.choice(len(whole), 150, replace=False):
        changed = bytearray(whole)
        changed[place] ^= rng.integers(1, 256, dtype=np.uint8)
        bundle.write_bytes(changed)
        try:
            found, tensors = load_bundle(str(bundle))
        except BundleError as error:
            assert str(bundle) in str(error)  # noqa: PT017 - the file may as well be good
            continue
        missed += 1
        assert found == info()
        assert all(torch.equal(value, weights()[name]) for name, value in tensors.items())
    assert missed < 20


@pytest.mark.parametrize("name", [name for name in MEMBERS if name != "manifest.json"])
def test_a_member_that_is_not_what_the_manifest_says_is_named(bundle, name):
    members = members_of(bundle)
    members[name] = members[name].replace(b"0", b"1", 1)
    write_zip(bundle, members)
    refused(bundle, rf"{name} is not what was written")
    members[name] += b"\n"
    write_zip(bundle, members)
    refused(bundle, rf"{name} is not what was written")


def test_members_that_are_missing_added_doubled_or_in_another_order_are_refused(bundle):
    members = members_of(bundle)
    for name in MEMBERS:
        write_zip(bundle, {key: value for key, value in members.items() if key != name})
        refused(bundle, rf"'{name}'|also has")
    write_zip(bundle, with_manifest({**members, "code.py": b"import os"}))
    refused(bundle, r"it also has 'code\.py'")
    write_zip(bundle, {**members, **{f"{i}.pkl": b"" for i in range(50)}})
    refused(bundle, r"'0\.pkl', '1\.pkl', '10\.pkl' and 47 more")
    with pytest.warns(UserWarning, match="Duplicate name"):
        write_zip(bundle, [*members.items(), ("geoseg.yaml", members["geoseg.yaml"])])
    refused(bundle, r"'geoseg\.yaml' twice")
    write_zip(bundle, dict(reversed(members.items())))
    refused(bundle, r"not in the order manifest\.json, geoseg\.yaml")


@pytest.mark.parametrize(
    "name", ["../geoseg.yaml", "/geoseg.yaml", "a/../geoseg.yaml", "GEOSEG.YAML"]
)
def test_names_that_are_paths_are_refused_and_nothing_is_written(bundle, tmp_path, name):
    pairs = [(name if key == "geoseg.yaml" else key, v) for key, v in members_of(bundle).items()]
    write_zip(bundle, pairs)
    refused(bundle, "it also has")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.zip"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members_are_refused_so_that_no_bomb_goes_off(bundle, method):
    write_zip(bundle, members_of(bundle), method=method)
    refused(bundle, r"'manifest\.json' is compressed")
    bomb = {**members_of(bundle), "model.safetensors": bytes(30 << 20)}
    write_zip(bundle, with_manifest(bomb), method=method)
    assert bundle.stat().st_size < 1 << 20
    refused(bundle, "is compressed")


def central(whole, name):
    """Where the record of a member begins in the list at the end of a zip."""
    return whole.rindex(b"PK\x01\x02", 0, whole.rindex(name.encode()))


def patched(path, name, offset, value, *, local=None):
    """Change numbers in the records of a member: that in the list, and that before its content."""
    whole = bytearray(path.read_bytes())
    start = central(whole, name)
    whole[start + offset : start + offset + len(value)] = value
    if local is not None:
        place = struct.unpack_from("<I", whole, start + 42)[0] + local
        whole[place : place + len(value)] = value
    path.write_bytes(whole)


def test_encrypted_members_and_methods_that_are_not_known_are_refused(bundle):
    whole = bundle.read_bytes()
    patched(bundle, "geoseg.yaml", 8, b"\x01\x00", local=6)
    refused(bundle, r"'geoseg\.yaml' is encrypted")
    bundle.write_bytes(whole)
    patched(bundle, "mlm.json", 10, struct.pack("<H", 99), local=8)
    refused(bundle, r"'mlm\.json' is compressed")
    bundle.write_bytes(whole)
    patched(bundle, "mlm.json", 6, struct.pack("<H", 99), local=4)
    refused(bundle, "damaged")


def test_a_wrong_checksum_of_the_zip_is_refused(bundle):
    patched(bundle, "geoseg.yaml", 16, b"\0\1\2\3", local=14)
    refused(bundle, "damaged .*CRC")


def test_sizes_that_are_not_true_are_refused_before_anything_is_read(bundle):
    whole = bundle.read_bytes()
    patched(bundle, "model.safetensors", 24, struct.pack("<I", 0xFFFFFFF0))
    refused(bundle, "says that it has 4,294,967,280 bytes but takes")
    bundle.write_bytes(whole)
    patched(bundle, "model.safetensors", 20, struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0), local=18)
    refused(bundle, r"more than [\d,]+")
    bundle.write_bytes(whole)
    half = struct.pack("<I", len(whole) * 2 // 3)
    for name in ("geoseg.yaml", "model.safetensors"):
        patched(bundle, name, 20, half * 2, local=18)
    refused(bundle, "together say that they are larger than the file")


def test_texts_that_are_far_too_long_are_refused(bundle):
    members = members_of(bundle)
    write_zip(bundle, with_manifest({**members, "history.json": b" " * (17 << 20) + b"[]"}))
    refused(bundle, r"'history\.json' says that it has 17,825,794 bytes")


def test_what_stands_before_or_behind_a_bundle_is_refused(bundle):
    whole = bundle.read_bytes()
    bundle.write_bytes(b"#!/bin/sh\necho hello\n" + whole)
    refused(bundle, "before or behind")
    bundle.write_bytes(whole)
    with zipfile.ZipFile(bundle, "a") as file:
        file.comment = b"hello"
    refused(bundle, "before or behind")


def again(bundle, **changes):
    """The bundle with other members and a manifest that is true of them."""
    names = {"yaml": "geoseg.yaml", "history": "history.json", "tensors": "model.safetensors"}
    changed = {names[key]: content for key, content in changes.items()}
    write_zip(bundle, with_manifest({**members_of(bundle), **changed}))


def yaml_of(bundle):
    return members_of(bundle)["geoseg.yaml"]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            b"geoseg-bundle/2",
            b"geoseg-bundle/1",
            r"has model\.safetensors, geoseg\.yaml, but this one",
        ),
        (b"geoseg-bundle/2", b"geoseg-bundle/9", "format is 'geoseg-bundle/9', expected one of"),
        (b"in_channels: 2", b"in_channels: two", "not understood .in_channels"),
        (b"in_channels: 2", b"in_channels: 2\ncolor: 1", "not understood .color: unknown key"),
        (b"in_channels: 2", b"in_channels: 2\nin_channels: 2", "given twice"),
        (
            b"in_channels: 2",
            b"in_channels: 2\nhistory: []",
            r"a history, expected in history\.json",
        ),
        (b"in_channels: 2", b"in_channels: !!python/object/apply:os.system [ls]", "cannot be read"),
        (b"in_channels: 2", b"in_channels: &a [1]\nnetwork: *a", "YAML aliases"),
        (b"in_channels: 2", b"in_channels: \xff", "cannot be read"),
        (b"in_channels: 2", b"in_channels: [", "cannot be read"),
        (b"in_channels: 2", b"in_channels: " + b"[" * 1_000_000, "more than 50 levels"),
        (b"in_channels: 2", b"7: 2", "no mapping of keys"),
    ],
)
def test_a_yaml_that_is_not_understood_is_told(bundle, old, new, text):
    assert old in yaml_of(bundle)
    again(bundle, yaml=yaml_of(bundle).replace(old, new))
    refused(bundle, text)


@pytest.mark.parametrize("content", [b"", b"- a\n", b"text"])
def test_a_yaml_of_something_else_is_told(bundle, content):
    again(bundle, yaml=content)
    refused(bundle, "no mapping of keys")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", r"history\.json cannot be read"),
        (b"\xff", r"history\.json cannot be read"),
        (b"[" * 100_000, r"history\.json cannot be read"),
        (b"{}", "not understood .history"),
        (b'[{"loss": "low"}]', "not understood .history"),
        (b'[["loss"]]', "not understood .history"),
    ],
)
def test_a_history_that_is_none_is_told(bundle, content, text):
    again(bundle, history=content)
    refused(bundle, text)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"{}",
        b'{"members": {}}',
        b'{"format": "geoseg-manifest/9", "members": {}}',
        b'{"members": {"geoseg.yaml": {"size": -1, "sha256": "0"}}}',
        b'{"members": {"geoseg.yaml": 1}}',
    ],
)
def test_a_manifest_that_is_none_is_told(bundle, manifest):
    write_zip(bundle, {**members_of(bundle), "manifest.json": manifest})
    refused(bundle, r"its manifest")


def tensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def one(dtype, shape, end):
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04cos\nsystem\n(S'ls'\ntR.",  # a pickle
        struct.pack("<Q", 1 << 62),
        struct.pack("<Q", 200 << 20) + b"{}",
        tensors(b"{{{{"),
        tensors(b"[" * 100_000),
        tensors(one("F32", [3, 5], 8), bytes(8)),
        tensors(one("F32", [1 << 62, 1 << 62], 8), bytes(8)),
        tensors(one("F32", [0, 1 << 62, 1 << 40], 0)),
        tensors(one("F32", [0, (1 << 64) - 1], 0)),
        tensors(one("F32", [-1], 4), bytes(4)),
        tensors(one("Q9", [1], 4), bytes(4)),
        tensors(one("F8_E8M0", [4], 4), bytes(4)),
        tensors(one("F32", [1], 4), bytes(9)),
    ],
)
def test_weights_that_are_none_are_told_though_their_checksum_is_right(bundle, content):
    again(bundle, tensors=content)
    refused(bundle, r"its model\.safetensors cannot be read: .+; copy")


def test_a_file_that_is_not_there_or_is_a_folder_is_told(tmp_path):
    refused(tmp_path / "no.zip", "no such bundle; `geoseg train` writes one")
    refused(tmp_path, "is no geoseg bundle")
    (tmp_path / "a.zip").write_bytes(b"")
    refused(tmp_path / "a.zip", "is no geoseg bundle")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFCHR, stat.S_IFIFO])
def test_members_that_are_links_folders_or_devices_are_refused(bundle, mode):
    members = members_of(bundle)
    with zipfile.ZipFile(bundle, "w") as file:
        for name, content in members.items():
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.create_system = 3
            member.external_attr = ((mode if name == "mlm.json" else stat.S_IFREG) | 0o777) << 16
            file.writestr(member, content)
    refused(bundle, r"'mlm\.json' is a link, a folder or a device")


def test_a_folder_of_windows_is_refused_too(bundle):
    patched(bundle, "mlm.json", 38, struct.pack("<I", 0x10))
    refused(bundle, r"'mlm\.json' is a link, a folder or a device")
