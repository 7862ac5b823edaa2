"""Files in archives and on servers, against the pixels that were written."""

import gc
import gzip
import json
import os
import subprocess
import sys
import tarfile
import threading
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geoseg
from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.rasterpath import is_remote
from geoseg.sources.files.remote import apart
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import close_all
from geoseg.window import Window
from tests.support.waiting import PATIENCE

SERVER = Path(__file__).with_name("range_server.py")
SMALL = np.random.default_rng(1).integers(1, 255, (2, 9, 11)).astype("uint8")
LARGE = np.random.default_rng(0).integers(1, 255, (3, 700, 610)).astype("uint8")
WINDOW = Window(400, 300, 50, 60)


class Served:
    """A folder on a server of its own; `log` is what was asked since the last look."""

    def __init__(self, root, *options):
        self.root = root
        self.process = subprocess.Popen(
            [sys.executable, SERVER, root, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.host = f"127.0.0.1:{int(self.process.stdout.readline())}"
        self.url = f"http://{self.host}"

    def ask(self, path):
        with urllib.request.urlopen(f"{self.url}{path}") as answer:
            return answer.read()

    def log(self):
        return [tuple(request) for request in json.loads(self.ask("/!log"))]

    def stop(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`large.tif` (COG of small blocks), `a.tif`, `words.tif`, and a bucket with the same two."""
    root = tmp_path_factory.mktemp("served")
    (root / "bucket" / "deep").mkdir(parents=True)
    for path, array, driver in (
        ("large.tif", LARGE, "COG"),
        ("bucket/deep/large.tif", LARGE, "COG"),
        ("a.tif", SMALL, "GTiff"),
        ("bucket/a.tif", SMALL, "GTiff"),
    ):
        options = {"blocksize": 128} if driver == "COG" else {}
        with rasterio.open(
            root / path, "w", driver=driver, count=len(array), dtype="uint8", crs="EPSG:32619",
            height=array.shape[1], width=array.shape[2],
            transform=rasterio.Affine(10, 0, 5e5, 0, -10, 4e6), **options,
        ) as file:  # fmt: skip
            file.write(array)
    (root / "words.tif").write_text("no pixels here")
    with zipfile.ZipFile(root / "a.zip", "w") as archive:
        archive.write(root / "a.tif", "in/a.tif")
    return root


@pytest.fixture(scope="module")
def shared_server(folder):
    server = Served(folder)
    yield server
    server.stop()


@pytest.fixture
def server(shared_server):
    close_all()
    shared_server.log()
    yield shared_server
    shared_server.ask("/!busy/0")


@pytest.fixture
def cloud(server, monkeypatch, tmp_path):
    """The server as S3, Google and Azure storage, by GDAL's own environment variables."""
    no_credentials(monkeypatch, tmp_path)
    for name, value in {
        "AWS_NO_SIGN_REQUEST": "YES",
        "AWS_S3_ENDPOINT": server.host,
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "GS_NO_SIGN_REQUEST": "YES",
        "CPL_GS_ENDPOINT": f"{server.url}/",
        "AZURE_NO_SIGN_REQUEST": "YES",
        "AZURE_STORAGE_CONNECTION_STRING": (
            f"DefaultEndpointsProtocol=http;AccountName=x;AccountKey=Zm9v;BlobEndpoint={server.url}"
        ),
    }.items():
        monkeypatch.setenv(name, value)
    return server


def no_credentials(monkeypatch, tmp_path):
    for name in os.environ:
        if name.startswith(("AWS_", "GS_", "GOOGLE_", "AZURE_", "CPL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CPL_AWS_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("CPL_AWS_AUTODETECT_EC2", "NO")
    monkeypatch.setenv("CPL_GCE_SKIP", "YES")


def assert_small(uri):
    source = GeoTIFFSource(uri=uri)
    chip = source.read(source.grid.whole)
    np.testing.assert_array_equal(chip.data, SMALL)
    assert chip.valid.all()


# Archives


@pytest.mark.parametrize(
    "form",
    ["/vsizip/{}.zip/in/a.tif", "/vsizip/{}.zip", "zip://{}.zip!in/a.tif", "zip://{}.zip!/in/a.tif",
     "/vsitar/{}.tar/in/a.tif", "tar://{}.tar!in/a.tif", "/vsitar/{}.tgz/in/a.tif",
     "/vsigzip/{}.tif.gz", "gzip://{}.tif.gz"],
)  # fmt: skip
@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
def test_a_file_in_an_archive_is_read_where_it_lies(folder, tmp_path, monkeypatch, form, relative):
    content = (folder / "a.tif").read_bytes()
    with zipfile.ZipFile(tmp_path / "a #1.zip", "w") as archive:
        archive.writestr("in/a.tif", content)
    for name, mode in (("a #1.tar", "w"), ("a #1.tgz", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as archive:
            archive.add(folder / "a.tif", "in/a.tif")
    (tmp_path / "a #1.tif.gz").write_bytes(gzip.compress(content))
    monkeypatch.chdir(tmp_path)

    uri = form.format("a #1" if relative else tmp_path / "a #1")
    assert_small(uri)
    assert Grid.of(uri) == Grid.of(str(folder / "a.tif"))


@pytest.mark.parametrize(
    ("name", "cure"),
    [("a.zip", "/vsizip/.*a.zip/NAME"), ("a.TAR", "/vsitar/.*/NAME"), ("a.gz", "/vsigzip/.*a.gz$")],
)
def test_an_archive_itself_is_no_raster_and_the_error_tells_how_to_name_the_file(
    tmp_path, name, cure
):
    (tmp_path / name).write_bytes(b"PK what not")

    with pytest.raises(SourceError, match=f"is an archive, .* name the file in it: {cure}"):
        GeoTIFFSource(uri=str(tmp_path / name)).check()


@pytest.mark.parametrize("uri", ["zip://{}/a.zip!in/b.tif", "/vsizip/{}/none.zip/b.tif"])
def test_a_file_that_is_not_in_the_archive_is_an_error_that_names_it(folder, uri):
    with pytest.raises(SourceError, match=r"b\.tif: cannot be opened as a raster: .*not exist"):
        GeoTIFFSource(uri=uri.format(folder)).check()


# Web servers


def test_a_window_of_a_file_on_a_server_fetches_its_blocks_only(server):
    source = GeoTIFFSource(uri=f"{server.url}/large.tif")
    data = source.read(WINDOW).data
    asked = server.log()

    np.testing.assert_array_equal(data, LARGE[(slice(None), *WINDOW.slices)])
    whole = (server.root / "large.tif").stat().st_size
    fetched = sum(size for _, path, size in asked if path == "/large.tif")
    assert 0 < fetched < whole / 4
    assert len(asked) < 25
    source.read(WINDOW)
    assert server.log() == []


def test_an_overview_of_a_file_on_a_server_is_read_in_place_of_its_pixels(server, folder):
    coarse = GeoTIFFSource(uri=f"{server.url}/large.tif").coarser(2)
    with rasterio.open(folder / "large.tif", overview_level=0) as file:
        expected = file.read()

    assert coarse.overview == 0
    np.testing.assert_array_equal(coarse.read(coarse.grid.whole).data, expected)


@pytest.mark.parametrize("uri", ["zip+{}/a.zip!in/a.tif", "/vsizip/vsicurl/{}/a.zip/in/a.tif"])
def test_an_archive_on_a_server_is_read(server, uri):
    assert_small(uri.format(server.url))


def test_what_follows_the_question_mark_of_an_address_is_kept(server):
    assert_small(f"{server.url}/a.tif?key=1%2F2&more=x")

    assert ("/a.tif?key=1%2F2&more=x") in {path for _, path, _ in server.log()}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/gone.tif", "404; there is no such file on the server; check the address"),
        ("/words.tif", "not recognized .*; it is no raster, or the server was too busy"),
    ],
)
def test_what_a_server_does_not_have_is_an_error_with_a_cure(server, path, reason):
    with pytest.raises(SourceError, match=f"^http://.*{path}: cannot be opened .*{reason}"):
        GeoTIFFSource(uri=f"{server.url}{path}").check()
    with pytest.raises(SourceError, match="cannot be opened as a raster"):
        Grid.of(f"{server.url}{path}")


def test_a_server_that_is_not_there_is_an_error_with_a_cure():
    with pytest.raises(
        SourceError, match=r"Failed to connect.*; check the address and the network"
    ):
        GeoTIFFSource(uri="http://127.0.0.1:9/a.tif").check()


def test_a_server_without_range_requests_is_an_error_with_a_cure(folder):
    server = Served(folder, "no-ranges")
    try:
        with pytest.raises(
            SourceError, match=r"gives whole files only, .*; download the file first"
        ):
            GeoTIFFSource(uri=f"{server.url}/large.tif").check()
    finally:
        server.stop()


def test_a_busy_server_is_asked_again_where_the_environment_says_so(server, folder, monkeypatch):
    for name in ("busy1.tif", "busy2.tif"):
        (folder / name).write_bytes((folder / "a.tif").read_bytes())
    server.ask("/!busy/2")
    with pytest.raises(SourceError, match="too busy to send it: set GDAL_HTTP_MAX_RETRY=5"):
        GeoTIFFSource(uri=f"{server.url}/busy1.tif").check()

    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "5")
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    server.ask("/!busy/2")
    assert_small(f"{server.url}/busy2.tif")


def test_a_server_that_goes_away_is_an_error_that_names_the_rows(folder):
    server = Served(folder)
    source = GeoTIFFSource(uri=f"{server.url}/large.tif")
    source.read(WINDOW)
    server.stop()

    with pytest.raises(SourceError, match=r"large\.tif: cannot read rows 0\.\.9, .*; the server"):
        source.read(Window(0, 0, 9, 9))


# Object stores


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_an_object_store_is_read_by_gdals_own_environment(cloud, scheme):
    source = GeoTIFFSource(uri=f"{scheme}://bucket/deep/large.tif")
    data = source.read(WINDOW).data
    fetched = sum(
        size for _, path, size in cloud.log() if path.partition("?")[0] == "/bucket/deep/large.tif"
    )

    np.testing.assert_array_equal(data, LARGE[(slice(None), *WINDOW.slices)])
    assert 0 < fetched < (cloud.root / "large.tif").stat().st_size / 4
    with pytest.raises(SourceError, match="404; there is no such file on the server"):
        GeoTIFFSource(uri=f"{scheme}://bucket/gone.tif").check()


@pytest.mark.parametrize(
    ("scheme", "cure"),
    [
        ("s3", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_NO_SIGN_REQUEST=YES"),
        ("gs", "set GOOGLE_APPLICATION_CREDENTIALS, or GS_NO_SIGN_REQUEST=YES"),
    ],
)
def test_an_object_store_without_credentials_is_an_error_that_names_them(
    monkeypatch, tmp_path, scheme, cure
):
    no_credentials(monkeypatch, tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CPL_GCE_CREDENTIALS_FILE", str(tmp_path / "none"))

    with pytest.raises(SourceError, match=f"^{scheme}://private/a.tif: .*; {cure}"):
        GeoTIFFSource(uri=f"{scheme}://private/a.tif").check()


def test_options_of_a_rasterio_environment_hold_for_what_is_remote(server, monkeypatch, tmp_path):
    no_credentials(monkeypatch, tmp_path)
    options = {
        "AWS_NO_SIGN_REQUEST": True,
        "AWS_S3_ENDPOINT": server.host,
        "AWS_HTTPS": False,
        "AWS_VIRTUAL_HOSTING": False,
    }
    read = []

    def in_environment():
        with rasterio.Env(**options):
            read.append(GeoTIFFSource(uri="s3://bucket/a.tif").read(Window(0, 0, 9, 11)).data)

    thread = threading.Thread(target=in_environment)  # those of the first thread hold for all
    thread.start()
    thread.join()
    np.testing.assert_array_equal(read[0], SMALL)


@pytest.mark.parametrize(
    "uri",
    ["s3://bucket/deep/a.tif", "gs://bucket/a.tif", "az://box/a.tif", "https://host/a.tif?b=c",
     "/vsis3/bucket/a.tif", "/vsicurl/https://host/a.tif", "zip+https://host/a.zip!b.tif"],
)  # fmt: skip
def test_a_remote_uri_in_a_yaml_file_stays_as_it_is(tmp_path, uri):
    path = tmp_path / "a.yaml"
    path.write_text(f"uri: [{json.dumps(uri)}, a.tif]")
    source = GeoTIFFSource.from_yaml(path)

    assert source.uris == (uri, str(tmp_path / "a.tif"))
    assert GeoTIFFSource.from_yaml(source.to_yaml()).uris == source.uris


# Processes and threads

READ_IN_WORKERS = """
import multiprocessing, sys
import numpy as np
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import block_cache
from geoseg.window import Window

def wrong_reads(job):
    source, truth, seed = job
    truth, wrong = np.load(truth), 0
    with block_cache(1):  # so that every read asks the server, as far as GDAL has not its bytes
        for row, col in np.random.default_rng(seed).integers(0, 550, (25, 2)).tolist():
            data = source.read(Window(row, col, 60, 56)).data
            wrong += not np.array_equal(data, truth[:, row : row + 60, col : col + 56])
    return wrong

if __name__ == "__main__":
    _, method, uri, truth = sys.argv
    source = GeoTIFFSource(uri=uri)
    source.check()
    with multiprocessing.get_context(method).Pool(3) as pool:
        jobs = pool.map_async(wrong_reads, [(source, truth, seed) for seed in range(1, 7)], chunksize=1)
        here = wrong_reads((source, truth, 0))  # while the workers read
        print("wrong reads:", [*jobs.get(timeout=600), here])
"""


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(
            "fork",
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
            ],
        ),
        pytest.param("spawn", marks=pytest.mark.slow),
    ],
)
def test_worker_processes_do_not_share_the_parents_connections(server, tmp_path, method):
    script, truth = tmp_path / "read.py", tmp_path / "truth.npy"
    script.write_text(READ_IN_WORKERS)
    np.save(truth, LARGE)
    done = subprocess.run(
        [sys.executable, script, method, f"{server.url}/large.tif", truth],
        env={**os.environ, "PYTHONPATH": str(Path(geoseg.__file__).parents[1]), "CPL_VSIL_CURL_CACHE_SIZE": "200000"},
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "wrong reads: [0, 0, 0, 0, 0, 0, 0]"


def test_what_is_remote_is_read_in_a_second_thread_for_each_thread(server):
    here = threading.get_ident()
    idents = [apart("http://host/a.tif", threading.get_ident) for _ in range(2)]
    others = []
    thread = threading.Thread(
        target=lambda: others.append(apart("s3://bucket/a.tif", threading.get_ident))
    )
    thread.start()
    thread.join()

    assert apart("a.tif", threading.get_ident) == here
    assert apart("/vsizip/a.zip/a.tif", threading.get_ident) == here
    assert idents[0] == idents[1] != here
    assert others[0] not in {here, idents[0]}
    nested = apart("s3://a/b.tif", lambda: apart("s3://a/b.tif", threading.get_ident))
    assert nested == idents[0]


def test_the_second_thread_ends_with_the_first():
    readers = []
    thread = threading.Thread(
        target=lambda: readers.append(apart("s3://bucket/a.tif", threading.current_thread))
    )
    thread.start()
    thread.join()
    gc.collect()

    readers[0].join(timeout=PATIENCE)
    assert not readers[0].is_alive()


@pytest.mark.parametrize(
    ("uri", "remote"),
    [("https://a/b.tif", True), ("zip+s3://a/b.zip!c.tif", True), ("/vsizip/vsicurl/https://a/b.zip", True),
     ("/vsicurl?max_retry=3&url=https://a", True), ("/vsis3_streaming/a/b", True), ("zip://s3.zip!a", False),
     ("/vsizip/a.zip/b.tif", False), ("/data/vsis3/a.tif", False), ("file:///a.tif", False), ("a.tif", False)],
)  # fmt: skip
def test_a_uri_tells_whether_it_is_remote(uri, remote):
    assert is_remote(uri) is remote


def test_an_error_in_the_second_thread_comes_out_of_the_first():
    with pytest.raises(KeyError, match="lost"):
        apart("https://host/a.tif", lambda: {}["lost"])
