import functools
import http.server
import json
import pickle
import shutil
import sys
import threading
from datetime import UTC, datetime

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

from geoseg.errors import ConfigError, SourceError
from geoseg.grid import Grid
from geoseg.sources.base import RasterSource
from geoseg.sources.cache import forget
from geoseg.sources.prewarp import materialize
from geoseg.sources.stac import STACSource
from geoseg.sources.stack import StackSource
from geoseg.sources.stacks import stacitem
from geoseg.sources.stacks.stacitem import read_item
from geoseg.sources.timestack import TimeStackSource
from geoseg.spec import files_of, uris_of
from geoseg.window import Window

AT = Affine(10, 0, 300_000, 0, -10, 4_100_000)
COG = str(pystac.MediaType.COG)
WHEN = datetime(2020, 6, 1, 10, 30, tzinfo=UTC)
RNG = np.random.default_rng(11)


@pytest.fixture
def write_item(tmp_path):
    """Writes an item of {key: (href, fields)} and returns its path; fields may hold roles and type."""

    def write(assets, path="item.json", *, when=WHEN, **properties):
        item = pystac.Item("scene", None, None, when, properties)
        for key, (href, fields) in assets.items():
            told = {"roles": ["data"], "type": COG, **fields}
            roles, media = told.pop("roles"), told.pop("type")
            item.add_asset(
                key, pystac.Asset(href, media_type=media, roles=roles, extra_fields=told)
            )
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(json.dumps(item.to_dict(include_self_link=False)))
        return str(tmp_path / path)

    return write


@pytest.fixture
def write_asset(write_raster):
    """Writes random bands of a size and pixel size and returns them."""

    def write(path, shape, scale=1, dtype=np.uint16, **options):
        data = RNG.integers(1, 4000, shape).astype(dtype)
        write_raster(path, data, transform=AT @ Affine.scale(scale), **options)
        return data

    return write


def band(name, common=None, **more):
    return {"name": name, **({"common_name": common} if common else {}), **more}


def test_assets_come_in_the_order_asked_for_with_their_common_names(write_item, write_asset):
    red, nir, swir = (
        write_asset(f"{key}.tif", (1, 21, 33), scale)
        for key, scale in (("B04", 1), ("B08", 1), ("B11", 2))
    )
    source = STACSource(
        uri=write_item(
            {
                "B04": ("./B04.tif", {"eo:bands": [band("B04", "red")]}),
                "B08": ("./B08.tif", {"bands": [{"name": "B08", "eo:common_name": "nir"}]}),
                "B11": ("./B11.tif", {}),
            }
        ),
        assets=("B11", "B08", "B04"),
        resampling="nearest",
    )
    chip = source.read(source.grid.whole)

    assert source.band_names == ("B11", "nir", "red")
    assert source.grid.shape == (21, 33)  # the first of the finest, not the first
    assert source.dtype == chip.data.dtype == np.uint16
    assert chip.valid.all()
    np.testing.assert_array_equal(chip.data[1:], np.concatenate([nir, red]))
    np.testing.assert_array_equal(chip.data[0], swir[0].repeat(2, 0).repeat(2, 1)[:21, :33])
    source.check()


def test_the_grid_may_be_that_of_any_asset(write_item, write_asset):
    write_asset("a.tif", (1, 20, 30))
    coarse = write_asset("b.tif", (1, 7, 9), 3)
    uri = write_item({"a": ("a.tif", {}), "b": ("b.tif", {})})
    source = STACSource(uri=uri, like="b")

    assert source.grid.shape == (7, 9)
    np.testing.assert_array_equal(source.read(source.grid.whole).data[1], coarse[0])
    with pytest.raises(SourceError, match=r"item\.json: like is 'c', expected one of .*: a, b"):
        STACSource(uri=uri, like="c").check()


def test_assets_of_other_zones_meet_on_one_grid(write_item, write_asset, write_raster):
    write_asset("here.tif", (1, 131, 187))
    at = Affine(9, 0, 833_900, 0, -9, 4_104_300)
    there = np.full((1, 160, 210), 7, np.uint8)
    write_raster("there.tif", there, transform=at, crs="EPSG:32618")
    source = STACSource(
        uri=write_item({"here": ("here.tif", {}), "there": ("there.tif", {})}), like="here"
    )
    chip = source.read(source.grid.whole)

    assert source.grid.crs.to_epsg() == 32619
    assert 0.2 < chip.valid.mean() < 1
    assert set(chip.data[1][chip.valid]) == {7}
    source.check()


def test_without_keys_all_images_with_the_role_data_are_taken(write_item, write_asset):
    for name in ("b", "a", "thumb", "mask"):
        write_asset(f"{name}.tif", (1, 5, 7))
    uri = write_item(
        {
            "b": ("b.tif", {"roles": ["data", "reflectance"]}),
            "thumb": ("thumb.tif", {"roles": ["thumbnail"]}),
            "meta": ("meta.xml", {"type": "application/xml"}),
            "a": ("a.tif", {"type": "image/tiff; application=geotiff"}),
            "none": ("a.tif", {"roles": None, "type": None}),
        }
    )
    assert STACSource(uri=uri).band_names == ("b", "a")

    uri = write_item({"mask": ("mask.tif", {"roles": ["metadata"]})}, "none.json")
    with pytest.raises(SourceError, match=r"none\.json: no asset is chosen: .* it has: mask"):
        STACSource(uri=uri).check()
    assert STACSource(uri=uri, assets=("mask",)).read(Window(0, 0, 5, 7)).valid.all()


def test_an_unknown_asset_lists_those_there_are(write_item):
    uri = write_item({"B04": ("a.tif", {}), "B08": ("b.tif", {})})
    with pytest.raises(SourceError, match=r"item\.json: has no asset 'B4', .* among: B04, B08"):
        STACSource(uri=uri, assets=("B08", "B4")).check()


def test_a_common_name_that_two_bands_share_gives_way_to_their_names(
    write_item, write_asset, tmp_path
):
    for name in ("B05", "B06", "multi", "named", "plain"):
        write_asset(f"{name}.tif", (1 if name.startswith("B") else 2, 5, 7))
    with rasterio.open(tmp_path / "named.tif", "r+") as file:
        file.descriptions = ("x", "y")
    assets = {
        "B05": ("B05.tif", {"eo:bands": [band("B05", "rededge")]}),
        "B06": ("B06.tif", {"eo:bands": [band("B06", "rededge")]}),
        "multi": ("multi.tif", {"eo:bands": [band("one", "red"), {"description": "?"}]}),
        "named": ("named.tif", {}),
        "plain": ("plain.tif", {}),
    }
    source = STACSource(uri=write_item(assets))

    assert source.band_names == ("B05", "B06", "red", "multi/2", "x", "y", "plain/1", "plain/2")
    assert STACSource(uri=source.uri, assets=("B06",)).band_names == ("rededge",)
    assert STACSource(uri=source.uri, assets=("B06", "B06")).band_names == ("0/B06", "1/B06")


def test_the_items_nodata_counts_where_the_file_has_none(write_item, write_raster):
    data = np.full((2, 5, 7), 9, np.int16)
    data[0, 1, 2], data[1, 3, 4] = 0, -1
    write_raster("none.tif", data)
    write_raster("own.tif", data, nodata=-1)
    write_raster("real.tif", data.astype(np.float32))
    zero, each = [{"nodata": 0}] * 2, [{"nodata": 0}, {"nodata": -1}]
    uri = write_item(
        {
            "none": ("none.tif", {"raster:bands": zero}),
            "new": ("none.tif", {"bands": zero, "eo:bands": [band("a"), band("b")]}),
            "whole": ("none.tif", {"nodata": 0}),
            "own": ("own.tif", {"raster:bands": zero}),
            "each": ("none.tif", {"raster:bands": each}),
            "nan": ("real.tif", {"raster:bands": [{"nodata": "nan"}] * 2}),
        }
    )
    missing = {"none": [(1, 2)], "new": [(1, 2)], "whole": [(1, 2)], "own": [(3, 4)]}
    missing |= {"each": [(1, 2), (3, 4)], "nan": []}
    for key, places in missing.items():
        source = STACSource(uri=uri, assets=(key,))
        valid = np.ones((5, 7), bool)
        for place in places:
            valid[place] = False
        chip = source.read(source.grid.whole)
        np.testing.assert_array_equal(chip.valid, valid, err_msg=key)
        np.testing.assert_array_equal(chip.data[:, valid], data[:, valid], err_msg=key)
    assert STACSource(uri=uri, assets=("new",)).band_names == ("a", "b")


@pytest.mark.parametrize("listed", [3, 4])
def test_an_alpha_band_is_left_out_whether_the_item_lists_it_or_not(
    write_item, write_raster, listed
):
    data = np.full((4, 5, 7), 9, np.uint8)
    data[3, 2, 2:] = 0
    colors = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    write_raster("rgba.tif", data, colors=colors)
    names = [band(n, n) for n in ("red", "green", "blue", "alpha")][:listed]
    source = STACSource(uri=write_item({"visual": ("rgba.tif", {"eo:bands": names})}))

    assert source.band_names == ("red", "green", "blue")
    assert (~source.read(source.grid.whole).valid).sum() == 5
    source.check()


def test_a_list_of_bands_that_does_not_fit_the_file_is_warned_of(write_item, write_asset):
    write_asset("a.tif", (2, 5, 7))
    uri = write_item({"a": ("a.tif", {"eo:bands": [band(n) for n in "xyz"]})})

    assert STACSource(uri=uri).band_names == ("a/1", "a/2")
    with pytest.warns(UserWarning, match=r"lists 3 bands for the asset 'a', but .*a\.tif has 2"):
        STACSource(uri=uri).check()
    uri = write_item({"a": ("a.tif", {"raster:bands": [{"nodata": n} for n in (0, 1, 2)]})})
    with pytest.raises(
        SourceError, match=r"gives 3 bands of the asset 'a' a nodata each, but .* 2 b"
    ):
        STACSource(uri=uri).check()


def test_classes_told_by_the_item_are_not_blended(write_item, write_asset, write_raster):
    write_asset("image.tif", (1, 30, 45), dtype=np.uint8)
    classes = (RNG.random((1, 11, 15)) > 0.5).astype(np.uint8) * 8
    write_raster("scl.tif", classes, transform=AT @ Affine.scale(3))
    told = {"classification:classes": [{"value": 0}, {"value": 8}]}
    for fields in (told, {"bands": [{"name": "scl", **told}]}):
        uri = write_item({"image": ("image.tif", {}), "scl": ("scl.tif", fields)})
        source = STACSource(uri=uri)
        chip = source.read(source.grid.whole)
        assert set(np.unique(chip.data[1])) == {0, 8}
        assert source.categorical
        assert not source.wholly_categorical
        assert STACSource(uri=uri, assets=("scl",)).wholly_categorical


def test_scale_and_offset_are_not_applied(write_item, write_asset):
    data = write_asset("a.tif", (1, 5, 7))
    uri = write_item({"a": ("a.tif", {"raster:bands": [{"scale": 0.0001, "offset": -0.1}]})})

    np.testing.assert_array_equal(STACSource(uri=uri).read(Window(0, 0, 5, 7)).data, data)


def test_relative_hrefs_are_taken_from_where_the_item_lies(write_item, write_asset, tmp_path):
    data = write_asset("a.tif", (1, 5, 7))
    uri = write_item({"a": ("../a.tif", {}), "b": (str(tmp_path / "a.tif"), {})}, "sub/item.json")
    shutil.copytree(tmp_path / "sub", tmp_path / "moved")

    for item in (uri, str(tmp_path / "moved" / "item.json")):
        chip = STACSource(uri=item).read(Window(0, 0, 5, 7))
        np.testing.assert_array_equal(chip.data, np.concatenate([data, data]))


def test_a_missing_file_names_item_asset_and_file(write_item, tmp_path):
    uri = write_item({"red": ("gone.tif", {})})
    with pytest.raises(SourceError, match=r"item\.json, asset 'red': .*gone\.tif: no such file"):
        STACSource(uri=uri).check()


def test_the_time_is_the_items_or_the_start_of_its_range(write_item):
    start, end = "2020-06-01T02:00:00+02:00", "2020-07-01T00:00:00Z"
    ranged = write_item({}, "range.json", when=None, start_datetime=start, end_datetime=end)

    assert STACSource(uri=write_item({})).time == "2020-06-01T10:30:00Z"
    assert STACSource(uri=ranged).time == "2020-06-01T00:00:00Z"


def test_an_item_of_stac_0_9_is_read(write_item, write_asset, tmp_path):
    write_asset("a.tif", (1, 5, 7))
    uri = write_item({"a": ("a.tif", {"eo:bands": [band("B04", "red")]})})
    content = json.loads((tmp_path / "item.json").read_text())
    (tmp_path / "item.json").write_text(json.dumps({**content, "stac_version": "0.9.0"}))

    assert STACSource(uri=uri).band_names == ("red",)


FEATURE = {"type": "Feature", "geometry": None, "properties": {}}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (pystac.Catalog("c", "d").to_dict(), "is a STAC Catalog, expected one STAC item"),
        ({"type": "Collection"}, "is a STAC Collection, expected one STAC item"),
        ({"type": "FeatureCollection", "features": [1, 2]}, "is a collection of 2 items"),
        (FEATURE, "is a GeoJSON feature without `stac_version` and `assets`"),
        ({"a": 1}, "is JSON of another kind"),
        ([1], "is JSON of another kind"),
        ({**FEATURE, "stac_version": "1.0.0", "assets": {}}, "is no valid STAC item"),
        (
            {**FEATURE, "stac_version": "1.0.0", "id": "i", "assets": {}, "links": []},
            r"is no valid STAC item|has no time",
        ),
    ],
)
def test_what_is_no_item_is_called_by_its_name(tmp_path, content, kind):
    path = tmp_path / "given.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SourceError, match=rf"given\.json: .*({kind})"):
        STACSource(uri=str(path)).check()


def test_what_is_no_json_or_not_there_is_told(tmp_path, write_asset):
    write_asset("a.tif", (1, 5, 7))
    for name, text in (
        ("a.tif", "is no JSON"),
        ("gone.json", "No such file"),
        (".", "a directory"),
    ):
        with pytest.raises(SourceError, match=text):
            STACSource(uri=str(tmp_path / name)).check()


def test_the_missing_extra_is_named(write_item, monkeypatch):
    monkeypatch.setitem(sys.modules, "pystac", None)
    forget()
    with pytest.raises(ConfigError, match=r'pystac.*pip install "geoseg\[stac\]"'):
        STACSource(uri=write_item({})).check()


def test_an_item_is_read_once_and_anew_when_it_changes(write_item, write_asset, monkeypatch):
    write_asset("a.tif", (1, 5, 7))
    write_asset("b.tif", (1, 5, 7))
    loaded = []
    load = stacitem._load
    monkeypatch.setattr(stacitem, "_load", lambda uri: loaded.append(uri) or load(uri))
    source = STACSource(uri=write_item({"a": ("a.tif", {})}))
    for _ in range(3):
        source.read(Window(0, 0, 5, 7))
    assert len(loaded) == 1

    write_item({"a": ("a.tif", {}), "b": ("b.tif", {})})
    assert source.band_names == ("a", "b")
    assert len(loaded) == 2


def test_the_overview_keeps_names_and_transforms(write_item, write_asset, tmp_path):
    write_asset("a.tif", (1, 32, 48))
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.build_overviews([2, 4], rasterio.enums.Resampling.average)
    uri = write_item({"a": ("a.tif", {"eo:bands": [band("B04", "red")]})})
    source = STACSource(uri=uri)
    coarse = source.coarser(4)

    assert coarse.band_names == ("red",)
    with rasterio.open(tmp_path / "a.tif", OVERVIEW_LEVEL=1) as file:
        np.testing.assert_array_equal(coarse.read(coarse.grid.whole).data, file.read())
    assert source.coarser(1.9) is source


def test_several_items_make_a_time_stack_in_order_of_time(write_item, write_asset):
    arrays, uris = [], []
    for day in (20, 1, 10):
        arrays.append(write_asset(f"{day}.tif", (1, 5, 7)))
        fields = {"eo:bands": [band("B04", "red")]}
        when = datetime(2020, 6, day, 10, tzinfo=UTC)
        uris.append(write_item({"red": (f"{day}.tif", fields)}, f"{day}.json", when=when))
    stack = TimeStackSource.of_items(uris, assets=("red",))
    chip = stack.read_stack(stack.grid.whole)

    assert stack.times == ("2020-06-01T10:00:00Z", "2020-06-10T10:00:00Z", "2020-06-20T10:00:00Z")
    assert stack.band_names[0] == "2020-06-01T10:00:00Z/red"
    np.testing.assert_array_equal(chip.data, [arrays[1], arrays[2], arrays[0]])
    assert uris_of(stack) == (uris[1], uris[2], uris[0])
    stack.check()


def test_an_item_stacks_with_other_sources(write_item, write_asset, write_raster):
    write_asset("a.tif", (1, 5, 7))
    dem = write_raster("dem.tif", np.ones((1, 5, 7), np.float32), transform=AT, descriptions=["z"])
    stack = StackSource(sources=(STACSource(uri=write_item({"a": ("a.tif", {})})), dem))

    assert stack.band_names == ("a", "z")
    assert stack.read(stack.grid.whole).valid.all()


def test_an_item_and_its_files_are_found_over_http(write_item, write_asset, tmp_path):
    write_asset("a.tif", (1, 5, 7))
    write_item({"a": ("./a.tif", {})})

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        item = read_item(f"{base}/item.json")
        with pytest.raises(SourceError, match=r"gone\.json: this STAC item cannot be read: .*404"):
            read_item(f"{base}/gone.json")
        server.shutdown()

    assert item.assets[0].href == f"{base}/a.tif"


def test_yaml_and_pickle_give_an_equal_value_that_reads_the_same(write_item, write_asset, tmp_path):
    write_asset("a.tif", (1, 5, 7))
    write_item({"a": ("a.tif", {})})
    (tmp_path / "source.yaml").write_text("type: stac\nuri: item.json\nassets: [a]")
    source = RasterSource.from_yaml(tmp_path / "source.yaml")
    again = pickle.loads(pickle.dumps(source))

    assert RasterSource.from_yaml(source.to_yaml()) == again == source
    assert hash(again) == hash(source)
    assert again.grid == Grid.of(str(tmp_path / "a.tif"))
    np.testing.assert_array_equal(
        again.read(Window(1, 2, 9, 3)).data, source.read(Window(1, 2, 9, 3)).data
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"eo:bands": ["red"]}, r"`eo:bands` is \['red'\], expected a list of objects"),
        ({"bands": [None]}, r"`bands` is \[None\], expected a list of objects"),
        ({"bands": 3}, "`bands` is 3, expected a list of objects"),
        ({"bands": {}}, r"`bands` is {}, expected a list of objects"),
        ({"bands": [{"name": 5}]}, "`bands` 0: `name` is 5, expected text"),
        ({"bands": [{"name": "a"}, {"name": ["x"]}]}, r"`bands` 1: `name` is \['x'\]"),
        ({"bands": [{"eo:common_name": ["x"]}]}, r"`eo:common_name` is \['x'\], expected text"),
        ({"bands": [{"classification:classes": 2}]}, "`classification:classes` is 2"),
        ({"nodata": "abc"}, "`nodata` is 'abc', expected a number"),
        ({"nodata": [0]}, r"`nodata` is \[0\], expected a number"),
        ({"nodata": True}, "`nodata` is True, expected a number"),
        ({"nodata": 10**400}, r"`nodata` is 10+\.\.\., expected a number"),
        ({"raster:bands": [{"nodata": "none"}]}, "`raster:bands` 0: `nodata` is 'none'"),
        ({"classification:classes": "x"}, "`classification:classes` is 'x', expected a list"),
        ({"type": 5}, "`type` is 5, expected text"),
        ({"roles": 5}, "`roles` is 5, expected a list of texts"),
        ({"roles": "data"}, "`roles` is 'data', expected a list of texts"),
        ({"href": None}, "`href` is None, expected a path or a URL"),
        ({"href": ""}, "`href` is '', expected a path or a URL"),
    ],
)
def test_a_malformed_asset_is_an_error_that_names_item_asset_and_field(
    write_item, write_asset, tmp_path, fields, text
):
    write_asset("a.tif", (1, 5, 7))
    uri = write_item({"a": ("a.tif", {})})
    content = json.loads((tmp_path / "item.json").read_text())
    content["assets"]["a"] |= fields
    (tmp_path / "item.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match=rf"item\.json, asset 'a': .*{text}.*; mend the item"):
        STACSource(uri=uri).check()
    assert files_of(STACSource(uri=uri)) == (uri,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"assets": {"a": None}},
        {"properties": None},
        {"properties": {"datetime": 5}},
        {"properties": {"datetime": "0001-01-01T00:00:00+14:00"}},
        {"links": None},
        {"stac_version": 1},
    ],
)
def test_a_malformed_item_is_an_error_that_names_it(write_item, tmp_path, wrong):
    uri = write_item({"a": ("a.tif", {})})
    content = json.loads((tmp_path / "item.json").read_text()) | wrong
    (tmp_path / "item.json").write_text(json.dumps(content))
    with pytest.raises(
        SourceError, match=r"item\.json(: is no valid STAC item|, asset 'a' is None)"
    ):
        STACSource(uri=uri).check()


@pytest.mark.parametrize("name", ["c#d.tif", "q?x.tif", "e%20f.tif", "b c.tif", "p;q.tif"])
def test_every_character_of_a_relative_href_counts(write_item, write_asset, tmp_path, name):
    data = write_asset(name, (1, 5, 7))
    hrefs = {"plain": name, "dot": f"./{name}", "url": (tmp_path / name).as_uri()}
    uri = write_item({key: (href, {}) for key, href in hrefs.items()})
    chip = STACSource(uri=uri).read(Window(0, 0, 5, 7))

    np.testing.assert_array_equal(chip.data, np.concatenate([data] * 3))


def test_the_files_of_an_item_are_not_written_over(write_item, write_asset, tmp_path):
    write_asset("a.tif", (1, 5, 7))
    before = (tmp_path / "a.tif").read_bytes()
    source = STACSource(uri=write_item({"a": ("a.tif", {})}))
    for stack in (source, StackSource(sources=(source,))):
        assert files_of(stack) == (source.uri, str(tmp_path / "a.tif"))
        with pytest.raises(ConfigError, match=r"a\.tif: is read as an input too"):
            materialize(stack, str(tmp_path / "a.tif"))
    assert (tmp_path / "a.tif").read_bytes() == before
