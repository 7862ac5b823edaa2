"""What is written is byte for byte what rico-hdl would write."""

import os
import subprocess
import sys

import lmdb
import pytest
import safetensors.numpy

from geoseg.convert.convert import convert
from geoseg.errors import ConfigError
from geoseg.sources.store.environments import close_stores
from tests.convert.making import by_rasterio, maps, maps_arrays, radar, radar_arrays


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


def written_plainly(folder, groups, *, puts=512):
    """The file that lmdb and safetensors alone write: a group after the other, 512 puts a transaction."""
    with lmdb.open(str(folder), map_size=1 << 28) as env:
        for values in groups:
            keys = sorted(values)
            for first in range(0, len(keys), puts):
                with env.begin(write=True) as transaction:
                    for key in keys[first : first + puts]:
                        value = safetensors.numpy.save(values[key])
                        transaction.put(key.encode(), value, overwrite=False)
    data = bytearray((folder / "data.mdb").read_bytes())
    for page in (0, 4096):
        data[page + 32 : page + 40] = (100 << 40).to_bytes(8, "little")
    return bytes(data)


@pytest.mark.slow
def test_a_file_is_that_of_lmdb_and_safetensors_with_the_same_transactions(tmp_path):
    sources = {
        "s1": radar(tmp_path / "s1", range(520), height=40, width=9),
        "map": maps(tmp_path / "map", range(830)),
    }
    made = radar_arrays(range(520), height=40, width=9), maps_arrays(range(830))
    done = convert("bigearthnet", sources, str(tmp_path / "out"), rico_identical=True)

    expected = written_plainly(tmp_path / "plain", made)
    assert (done.patches, done.written) == (1350, 1350)
    assert (tmp_path / "out/data.mdb").read_bytes() == expected


@pytest.mark.slow
def test_the_same_bytes_come_with_any_number_of_workers(tmp_path):
    sources = {"s1": radar(tmp_path / "s1", range(40)), "map": maps(tmp_path / "map", range(5))}
    found = set()
    for workers in (None, 2):
        out = tmp_path / f"out{workers}"
        convert("bigearthnet", sources, str(out), workers=workers)
        found.add(((out / "data.mdb").read_bytes(), (out / "manifest.parquet").read_bytes()))

    assert len(found) == 1


@pytest.mark.slow
def test_little_address_space_is_enough(tmp_path):
    sources = {"s1": radar(tmp_path / "s1", range(3), height=200, width=300)}
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (8 << 30,) * 2)\n"
        "from geoseg.convert.convert import convert\n"
        f"convert('bigearthnet', {sources!r}, {str(tmp_path / 'out')!r}, rico_identical=True)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ)

    expected = written_plainly(tmp_path / "plain", [by_rasterio(sources["s1"])])
    assert (tmp_path / "out/data.mdb").read_bytes() == expected


@pytest.mark.parametrize(
    ("layout", "options", "text"),
    [
        ("eurosat-rgb", {}, "rico-hdl knows no layout 'eurosat-rgb'"),
        ("bigearthnet", {"compression": "zstd"}, "`compression` makes other bytes"),
        ("bigearthnet", {"embed_geo": True}, "`embed_geo` makes other bytes"),
        ("bigearthnet", {"shard": (0, 2)}, "`shard` makes other bytes"),
        ("bigearthnet", {"append": True}, "`append` makes other bytes"),
    ],
)
def test_what_makes_other_bytes_is_refused(tmp_path, layout, options, text):
    with pytest.raises(ConfigError, match=text):
        convert(layout, {}, str(tmp_path / "out"), rico_identical=True, **options)
    assert not list(tmp_path.iterdir())
