"""Going on with a store that was made with a table of metadata: the same one, another, or none."""

from operator import itemgetter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from geoseg.convert.convert import convert
from geoseg.convert.running import writing
from geoseg.convert.running.settings import Settings
from geoseg.errors import ConfigError
from geoseg.sources.store.environments import close_stores
from tests.convert.killing import expected, killed, raw, resumed
from tests.convert.making import maps


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture
def sources(tmp_path):
    return {"map": maps(tmp_path / "data", range(5))}


@pytest.fixture
def table(tmp_path, sources):
    """Writes the table, with other splits for the first patches."""

    def write(*splits):
        keys = sorted(expected(*sources.values()))
        splits = (*splits, *["train"] * (len(keys) - len(splits)))
        rows = {"patch_id": [key.removesuffix("_reference_map") for key in keys], "split": splits}
        pd.DataFrame(rows | {"labels": [["sea", "wood"]] * len(keys)}).to_parquet(
            tmp_path / "m.parquet"
        )
        return tmp_path / "m.parquet"

    return write


def splits(store):
    """Those of the manifest by key; labels are there where splits are."""
    rows = pq.read_table(Path(store) / "manifest.parquet").to_pylist()
    for row in rows:
        assert row["labels"] == (None if row["split"] is None else ["sea", "wood"])
    return [row["split"] for row in sorted(rows, key=itemgetter("key"))]


@pytest.mark.parametrize("option", ["resume", "append"])
def test_a_store_with_metadata_is_not_gone_on_with_without_it(tmp_path, sources, table, option):
    convert("bigearthnet", sources, tmp_path / "out", metadata=table(), workers=0)
    more = {"map": maps(tmp_path / "more", [9])} if option == "append" else sources
    with pytest.raises(
        ConfigError,
        match=r"out: was begun with a table of metadata, and now there is none.*give the table again",
    ):
        convert("bigearthnet", more, tmp_path / "out", workers=0, **{option: True})
    assert splits(tmp_path / "out") == ["train"] * 5
    assert raw(tmp_path / "out") == expected(*sources.values())


def test_a_killed_run_with_metadata_is_not_gone_on_with_without_it(tmp_path, sources, table):
    killed(sources, tmp_path / "out", after=4, metadata=table())
    with pytest.raises(
        ConfigError, match="was begun with a table of metadata, and now there is none"
    ):
        resumed(sources, tmp_path / "out")
    resumed(sources, tmp_path / "out", metadata=table())
    assert splits(tmp_path / "out") == ["train"] * 5


def test_rows_that_metadata_changes_are_counted_and_told(tmp_path, sources, table):
    convert("bigearthnet", sources, tmp_path / "out", metadata=table(), workers=0)
    with pytest.warns(
        UserWarning, match="of 2 patches with unchanged values the manifest tells something else"
    ):
        done = resumed(sources, tmp_path / "out", metadata=table("test", "validation"))
    assert (done.kept, done.redone, done.written) == (5, 0, 0)
    assert splits(tmp_path / "out") == ["test", "validation", "train", "train", "train"]
    assert raw(tmp_path / "out") == expected(*sources.values())
    resumed(sources, tmp_path / "out", metadata=table("test", "validation"))  # without a warning


def test_metadata_may_come_later(tmp_path, sources, table):
    convert("bigearthnet", sources, tmp_path / "out", workers=0)
    assert splits(tmp_path / "out") == [None] * 5
    with pytest.warns(UserWarning, match="of 5 patches with unchanged values"):
        resumed(sources, tmp_path / "out", metadata=table())
    assert splits(tmp_path / "out") == ["train"] * 5


@pytest.fixture
def an_earlier_version(monkeypatch):
    """It did not note whether there was a table."""
    told = Settings.told

    def older(self):
        return {name: value for name, value in told(self).items() if name != "metadata"}

    monkeypatch.setattr(Settings, "told", older)
    return monkeypatch


@pytest.mark.parametrize("option", ["resume", "append"])
def test_a_store_of_an_earlier_version_does_not_lose_its_metadata(
    tmp_path, sources, table, an_earlier_version, option
):
    convert("bigearthnet", sources, tmp_path / "out", metadata=table(), workers=0)
    an_earlier_version.undo()
    more = {"map": maps(tmp_path / "more", [9])} if option == "append" else sources
    with pytest.raises(ConfigError, match="out: was begun with a table of metadata"):
        convert("bigearthnet", more, tmp_path / "out", workers=0, **{option: True})
    resumed(sources, tmp_path / "out", metadata=table())
    assert splits(tmp_path / "out") == ["train"] * 5


def test_a_killed_run_of_an_earlier_version_does_not_lose_its_metadata(
    tmp_path, sources, table, an_earlier_version
):
    an_earlier_version.setattr(writing, "PUTS", 2)
    killed(sources, tmp_path / "out", after=4, metadata=table())
    an_earlier_version.undo()
    with pytest.raises(ConfigError, match=r"while it was written.*begun with a table of metadata"):
        resumed(sources, tmp_path / "out")
    resumed(sources, tmp_path / "out", metadata=table())
    assert splits(tmp_path / "out") == ["train"] * 5


def test_a_store_of_an_earlier_version_without_metadata_is_gone_on_with(
    tmp_path, sources, an_earlier_version
):
    convert("bigearthnet", sources, tmp_path / "out", workers=0)
    an_earlier_version.undo()
    assert resumed(sources, tmp_path / "out").kept == 5
