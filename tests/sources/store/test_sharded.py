import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import ConfigError, SourceError
from geoseg.sources.store.environments import close_stores
from geoseg.sources.store.reader import StoreReader
from geoseg.sources.store.sharded import ShardedStore
from geoseg.sources.store.sharding import shard_of_key
from geoseg.sources.store.writer import StoreWriter

KEYS = [f"patch_{i}" for i in range(40)]


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


def patch(key):
    random = np.random.default_rng(int(hashlib.sha256(key.encode()).hexdigest()[:8], 16))
    return {
        "B02": random.integers(0, 9999, (6, 8)).astype("uint16"),
        "B01": random.integers(0, 9999, (3, 4)).astype("uint16"),
    }


def written(uri, keys):
    with StoreWriter(str(uri)) as store:
        for key in keys:
            store.write(key, patch(key))
    return str(uri)


@pytest.fixture(params=["by the rule", "by the rule, mixed up", "otherwise"])
def uris(request, tmp_path):
    """Three stores that hold all keys together."""
    if request.param == "otherwise":
        parts = [KEYS[:5], KEYS[5:6], KEYS[6:]]
    else:
        parts = [[key for key in KEYS if shard_of_key(key, 3) == i] for i in range(3)]
    found = [written(tmp_path / f"s{i}", part) for i, part in enumerate(parts)]
    return found[::-1] if "mixed" in request.param else found


def test_several_stores_read_as_one(uris):
    store = ShardedStore(uris)

    assert list(store) == list(store.keys()) == sorted(KEYS)
    assert len(store) == len(KEYS)
    for key in KEYS * 2:
        expected = patch(key)
        found, out = store.read(key), np.zeros((2, 6, 8), "uint16")
        store.read_into(key, ("B02", "B02"), out)
        with store.views(key, ["B01"]) as views, store.planes(key, ["B02"]) as planes:
            np.testing.assert_array_equal(views["B01"], expected["B01"])
            np.testing.assert_array_equal(planes[0], expected["B02"])
        assert found.keys() == expected.keys()
        np.testing.assert_array_equal(found["B02"], expected["B02"])
        np.testing.assert_array_equal(out, [expected["B02"]] * 2)
        assert store.value(key) == store.stored(key) == store.reader_of(key).value(key)
        assert store.layout(key).tensors.keys() == expected.keys()


def test_a_key_is_looked_for_in_one_store_where_the_rule_holds(tmp_path, monkeypatch):
    parts = [[key for key in KEYS if shard_of_key(key, 4) == i] for i in range(4)]
    uris = [written(tmp_path / f"s{i}", part) for i, part in enumerate(parts)]
    store, asked = ShardedStore(uris[::-1]), []
    for key in KEYS:
        assert key in store
    contains = StoreReader.__contains__
    monkeypatch.setattr(
        StoreReader, "__contains__", lambda r, key: asked.append(key) or contains(r, key)
    )
    for key in KEYS:
        assert store.reader_of(key).uri == uris[shard_of_key(key, 4)]

    assert asked == KEYS


def test_a_copy_by_pickle_reads_the_same_and_is_small(uris):
    store = ShardedStore(uris)
    store.read(KEYS[0])
    packed = pickle.dumps(store)
    copy = pickle.loads(packed)

    assert len(packed) < 200 + sum(map(len, uris))
    assert copy.uris == store.uris == tuple(uris)
    np.testing.assert_array_equal(copy.read("patch_7")["B01"], patch("patch_7")["B01"])


@pytest.mark.parametrize("use", [list, ShardedStore.check, lambda store: store.read("patch_9")])
def test_a_key_in_two_stores_is_an_error_that_names_both(tmp_path, use):
    uris = [written(tmp_path / name, keys) for name, keys in (("a", KEYS[:3]), ("b", KEYS[2:6]))]

    with pytest.raises(SourceError, match=r"b: has the key 'patch_2', and so has .*/a \(1 keys"):
        use(ShardedStore(uris))


def test_a_missing_key_is_an_error_that_tells_of_near_ones(uris):
    store = ShardedStore(uris)

    assert "patch_99" not in store
    assert 3 not in store
    with pytest.raises(
        SourceError, match=r"none of the 3 stores has the patch 'patch_99'; in .*near keys: patch_"
    ):
        store.read("patch_99")


def test_one_store_is_enough_and_none_is_not(tmp_path):
    uri = written(tmp_path / "s", KEYS[:2])

    assert list(ShardedStore(uri)) == list(ShardedStore([uri])) == KEYS[:2]
    with pytest.raises(ConfigError, match="no stores"):
        ShardedStore([])
    with pytest.raises(ConfigError, match=r"s is given twice"):
        ShardedStore([uri, uri])
    with pytest.raises(SourceError, match="no such store"):
        ShardedStore([uri, str(tmp_path / "none")]).read("patch_0")


@given(st.text(max_size=20), st.integers(1, 50))
def test_the_shard_of_a_key_is_that_of_its_published_hash(key, count):
    whole = hashlib.blake2b(key.encode(), digest_size=8).hexdigest()

    assert shard_of_key(key, count) == int(whole, 16) % count


def test_shards_are_of_about_one_size():
    counts = np.bincount([shard_of_key(f"patch_{i}", 7) for i in range(7000)])

    assert counts.min() > 900
    assert counts.max() < 1100
    with pytest.raises(ConfigError, match="number of shards is 0"):
        shard_of_key("a", 0)
