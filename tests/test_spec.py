import math
import pickle
from abc import abstractmethod
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import geopandas
import numpy as np
import pytest
from pydantic import Field, ValidationError
from shapely.geometry import box

from geoseg.classes import ClassInfo, ClassMap
from geoseg.errors import ConfigError, SourceError
from geoseg.grid import Grid
from geoseg.labels.base import LabelSource, LabelStore
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.pixels import PixelLabels
from geoseg.labels.sources import RasterLabels, VectorLabels
from geoseg.labels.vector import VectorLabelStore
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.base import Chip, RasterField, RasterSource, VectorSource
from geoseg.sources.features.inferclass import InferClass
from geoseg.sources.features.reshape import Buffer, OnlyValid, Shift
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.lmdb import LMDBSource
from geoseg.sources.mbtiles import MBTilesSource
from geoseg.sources.npy import NpySource
from geoseg.sources.stac import STACSource
from geoseg.sources.stack import StackSource
from geoseg.sources.statistics import Statistics
from geoseg.sources.timestack import TimeStackSource
from geoseg.sources.transformed import Transform
from geoseg.sources.transformedvector import VectorTransform
from geoseg.sources.transforms.cast import Cast, FillNaN
from geoseg.sources.transforms.recode import Reclass, RGBToClass
from geoseg.sources.transforms.scaling import Log, MinMax, Percentile, Standardize
from geoseg.sources.vector import FileVectorSource, FrameSource
from geoseg.sources.warp import WarpedSource
from geoseg.spec import FrozenMap, Spec, Tagged, Uri


class Checkerboard(RasterSource):
    """A user's own source, with fields of its own."""

    type: Literal["test-checkerboard"] = "test-checkerboard"
    side: int = 8
    below: RasterField | None = None
    names: tuple[str, ...] = ("1",)

    @property
    def grid(self):
        return Grid(height=self.side, width=self.side)

    @property
    def band_names(self):
        return self.names

    @property
    def dtype(self):
        return np.dtype("uint8")

    def read(self, window):
        odd = np.indices(window.shape).sum(axis=0) % 2
        return Chip(odd.astype("uint8")[None], np.ones(window.shape, bool))


class Shape(Tagged):
    """A family of this file's own."""

    color: str = "red"


class Round(Shape):
    """A step between the head and its kinds: no tag, not complete."""

    @abstractmethod
    def area(self) -> float: ...


class Circle(Round):
    type: Literal["circle"] = "circle"
    radius: float

    def area(self):
        return math.pi * self.radius**2


class Square(Shape):
    type: Literal["square"] = "square"
    side: float = 1.0


class Drawing(Spec):
    first: Shape
    more: tuple[Shape, ...] = ()
    maybe: Shape | None = None
    named: FrozenMap[str, Shape] = FrozenMap()
    image: RasterField | None = None
    files: tuple[Uri, ...] = ()
    either: Uri | tuple[Uri, ...] | None = None


GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=7, width=11)
CLASSES = ClassMap.of("field", "road")
FRAME = geopandas.GeoDataFrame({"kind": ["road"]}, geometry=[box(0, 0, 1, 1)], crs="EPSG:4326")

WRITTEN = [
    GeoTIFFSource(uri="a.tif"),
    GeoTIFFSource(uri=("a.tif", "b.tif"), bands=(3, "red"), nodata=-9999.0),
    GeoTIFFSource(uri="a.tif", nodata=math.nan),
    GeoTIFFSource(uri="a.tif", nodata=-math.inf),
    WarpedSource(source=GeoTIFFSource(uri="a.tif", bands=(1,)), onto=GRID, resampling="bilinear"),
    WarpedSource(source="a.tif", onto=GeoTIFFSource(uri="b.tif", nodata=0), resampling="mode"),
    StackSource(sources=("a.tif", Checkerboard()), like=1, resampling=("cubic", "nearest")),
    StackSource(sources=("a.tif",), resampling="mode", band_names=("red", "no")),
    TimeStackSource(
        sources=("a.tif", None, Checkerboard()),
        times=("2020-06-01", "2020-07-01", "2020-07-01T10:30:00Z"),
        require="any",
        named_by="step",
    ),
    STACSource(uri="item.json", assets=("B04", "B08"), like="B08", resampling="cubic"),
    Checkerboard(
        side=5, below=WarpedSource(source=Checkerboard(), onto=GRID, resampling="nearest")
    ),
    MBTilesSource(uri="a.mbtiles", zoom=3, nodata_color=(0, 0, 0), on_bad_tile="warn"),
    LMDBSource(uri="store", key="patch_1", bands=("nir", "red"), size=(120, 60)),
    NpySource(uri="a.npy", axes="hwc", nodata=0),
    FileVectorSource(uri="a.gpkg", layer="roads", where="kind = 'no'"),
    RasterLabels(source=Checkerboard(side=4), classes=CLASSES, mapping={1: 0, -2: 1}),
    VectorLabels(source="a.gpkg", classes=CLASSES, class_by="kind"),
    PixelLabels(source="a.png", classes=CLASSES, mapping={255: 1}),
    GeoTIFFLabelStore(uri="out.tif", cog=False, scores=True, mode="error"),
    VectorLabelStore(uri="out.gpkg", only=("road",), min_area_m2=20, denoise_px=3),
    GeoTIFFSource(uri="a.tif", transforms=(FillNaN(value=0), Log())),
    Standardize(mean=(1e-3, -2), std=(0, 1)),
    MinMax(low=(0,), high=(1e9,)),
    Percentile(low=(-5.25,), high=(7,)),
    Log(offset=0.5),
    Reclass(mapping={7: 1, -2: 0}, default=255),
    RGBToClass(colors={3: "#ff0080", 0: (0, 0, 0)}, tolerance=2),
    FillNaN(value=-1),
    Cast(dtype="uint8", on_overflow="clip", on_fraction="round"),
    FileVectorSource(uri="a.gpkg", transforms=(OnlyValid(), Shift(north_m=-1e-3))),
    OnlyValid(),
    InferClass(value_by="no", values={1: "on", "yes": 3}, queries={"z > 1": 2, "a == 'no'": "off"}),
    Shift(right_px=0.5),
    Buffer(points_m={"no": 2, 3: 1e-3, "*": 0}, lines_m=4, class_by="kind", cap="flat"),
    Circle(radius=1e-3),
    Square(color="no"),
]
PYTHON_ONLY = [ArraySource(data=np.ones((2, 3, 4))), FrameSource(frame=FRAME)]
UNTAGGED = [
    GRID,
    Grid(height=1, width=1),
    CLASSES,
    ClassInfo(id=3, name="off", color=(1, 2, 3)),
    Statistics(mean=(1.5, -1e300), std=(0.0, 1e-300), count=3),
    Scene(id="s", image=Checkerboard(), labels=RasterLabels(source="l.tif"), aoi="a.gpkg"),
    Drawing(
        first=Circle(radius=2),
        more=(Square(side=3), Circle(radius=4, color="blue")),
        maybe=Circle(radius=5),
        named={"no": Square(), "on": Circle(radius=6)},
        image=GeoTIFFSource(uri="a.tif", bands=("red",)),
        files=("a", "b"),
        either=("c",),
    ),
]


def name_of(spec):
    return getattr(spec, "type", type(spec).__name__)


@pytest.mark.parametrize("spec", WRITTEN + UNTAGGED, ids=name_of)
def test_a_spec_survives_yaml(spec):
    again = type(spec).from_yaml(spec.to_yaml())

    assert again == spec
    assert hash(again) == hash(spec)
    assert again.to_yaml() == spec.to_yaml()


@pytest.mark.parametrize("spec", WRITTEN, ids=name_of)
def test_a_kind_is_found_by_its_tag_through_the_head_of_its_family(spec):
    heads = (
        RasterSource, Transform, VectorSource, VectorTransform, LabelSource, LabelStore, Shape
    )  # fmt: skip
    head = next(head for head in heads if isinstance(spec, head))
    text = spec.to_yaml()

    assert text.startswith(f"type: {spec.type}\n")
    assert head.from_yaml(text) == spec
    assert type(head.from_yaml(text)) is type(spec)


@pytest.mark.parametrize("spec", WRITTEN + UNTAGGED + PYTHON_ONLY, ids=name_of)
def test_a_spec_survives_pickle(spec):
    again = pickle.loads(pickle.dumps(spec))

    assert again == spec
    assert hash(again) == hash(spec)


def test_an_example_of_every_kind_is_tested_here():
    tested = {type(spec) for spec in WRITTEN + PYTHON_ONLY}
    heads = (RasterSource, Transform, VectorSource, VectorTransform, LabelSource, LabelStore)
    ours = {
        kind
        for head in heads
        for kind in head.kinds.values()
        if kind.__module__.startswith("geoseg.")
    }

    assert ours - tested == set()


@pytest.mark.parametrize("spec", PYTHON_ONLY, ids=name_of)
def test_what_holds_an_array_says_that_it_cannot_be_written_also_from_inside(spec):
    with pytest.raises(
        ConfigError, match=r"^an? \w+ cannot be written: it holds an? .*; write the"
    ):
        spec.to_yaml()
    holder = Scene(id="s", image=spec) if isinstance(spec, RasterSource) else None
    if holder is not None:
        with pytest.raises(ConfigError, match=r"^an ArraySource cannot be written"):
            holder.to_yaml()


def test_specs_differ_by_kind_and_by_value():
    specs = [*WRITTEN, *UNTAGGED, *PYTHON_ONLY]

    assert len(set(specs)) == len(specs)
    assert Circle(radius=1) != Circle(radius=2)


def test_a_field_of_a_base_type_keeps_every_field_and_tag():
    drawing = UNTAGGED[-1]
    dumped = drawing.model_dump(mode="json")

    assert dumped["first"] == {"type": "circle", "color": "red", "radius": 2.0}
    assert dumped["more"][0] == {"type": "square", "color": "red", "side": 3.0}
    assert dumped["maybe"]["radius"] == 5
    assert dumped["named"]["on"] == {"type": "circle", "color": "red", "radius": 6.0}
    assert dumped["image"]["bands"] == ["red"]


def test_the_tag_is_dumped_also_where_defaults_are_not():
    dumped = Drawing(first=Square()).model_dump(exclude_defaults=True)

    assert dumped == {"first": {"type": "square"}}


def test_text_stands_for_a_uri_where_a_source_is_expected():
    assert Checkerboard(below="a.tif").below == GeoTIFFSource(uri="a.tif")
    assert Scene(id="s", image="a.tif", aoi="a.gpkg").aoi == FileVectorSource(uri="a.gpkg")


# Relative uris


def test_relative_uris_are_meant_from_the_folder_of_the_file(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "drawing.yaml").write_text(
        """
        first: {type: square}
        image:
          type: warped
          resampling: nearest
          source: {type: test-checkerboard, below: {type: geotiff, uri: [one.tif, sub/two.tif]}}
          onto: {type: geotiff, uri: ../three.tif}
        files: [a.txt, /data/b.txt, /vsizip/c.zip/d.tif, 's3://bucket/e.tif', 'https://f/g.tif']
        either: h.txt
        """
    )
    monkeypatch.chdir(tmp_path)

    for path in (folder / "drawing.yaml", "run/drawing.yaml"):
        drawing = Drawing.from_yaml(path)

        assert drawing.image.source.below.uri == (
            str(folder / "one.tif"),
            str(folder / "sub" / "two.tif"),
        )
        assert Path(drawing.image.onto.uri).resolve() == tmp_path / "three.tif"
        assert drawing.files == (
            str(folder / "a.txt"),
            "/data/b.txt",
            "/vsizip/c.zip/d.tif",
            "s3://bucket/e.tif",
            "https://f/g.tif",
        )
        assert drawing.either == str(folder / "h.txt")


def test_uris_in_lists_of_a_union_and_in_plain_text_are_resolved_too(tmp_path):
    path = tmp_path / "scene.yml"
    path.write_text("first: {type: square}\nimage: i.tif\neither: [a, b]")

    drawing = Drawing.from_yaml(path)

    assert drawing.image.uri == str(tmp_path / "i.tif")
    assert drawing.either == (str(tmp_path / "a"), str(tmp_path / "b"))


def test_uris_in_yaml_text_stay_as_they_are():
    assert GeoTIFFSource.from_yaml("uri: a.tif").uri == "a.tif"
    assert GeoTIFFSource(uri="s3://bucket/key.tif").uri == "s3://bucket/key.tif"


# Text or file


@pytest.mark.parametrize("text", ["{type: square, color: a.yaml}", "color: a.yml"])
def test_one_line_of_yaml_that_ends_like_a_file_name_is_yaml(text):
    assert Square.from_yaml(text).color.startswith("a.y")


def test_a_long_line_of_yaml_is_not_taken_for_a_path():
    names = tuple(f"tile_{i}.tif" for i in range(500))

    assert GeoTIFFSource.from_yaml(f"uri: [{', '.join(names)}]").uri == names


def test_a_file_of_any_name_is_read(tmp_path):
    path = tmp_path / "no suffix"
    path.write_text("\ufeffside: 2")

    assert Square.from_yaml(str(path)) == Square.from_yaml(path) == Square(side=2)


def test_a_missing_yaml_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot read this YAML file: No such file"):
        Square.from_yaml(str(tmp_path / "gone.yaml"))
    with pytest.raises(ConfigError, match="cannot read this YAML file: Is a directory"):
        Square.from_yaml(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"), [(bytes(range(256)), "it is not UTF-8 text"), (b"II*\0", "binary file")]
)
def test_a_binary_file_is_named(tmp_path, content, reason):
    path = tmp_path / "image.yaml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=rf"image\.yaml: .*{reason}"):
        Square.from_yaml(path)


def test_errors_in_a_file_name_it(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("side: 1\nside: 2")

    with pytest.raises(ConfigError, match=r"twice\.yaml, line 2: the key 'side' is given twice"):
        Square.from_yaml(path)


@pytest.mark.parametrize("text", ["", "[1, 2]", "just words"])
def test_yaml_that_is_no_mapping_is_refused(text):
    with pytest.raises(ValidationError, match="should be a valid dictionary"):
        Square.from_yaml(text)


# Unknown keys and types


@pytest.mark.parametrize(
    ("text", "path", "near"),
    [
        ("{first: {type: square}, imgae: a.tif}", "imgae", "image"),
        ("{first: {type: circle, radius: 1, colour: red}}", "first.colour", "color"),
        ("{first: {type: square}, more: [{type: square, sid: 1}]}", "more.0.sid", "side"),
        ("{first: {type: square}, named: {x: {type: square, clor: a}}}", "named.x.clor", "color"),
        (
            "first: {type: square}\nimage: {type: test-checkerboard, below: {type: geotiff, band: [1]}}",
            "image.below.band",
            "bands",
        ),
    ],
)
def test_an_unknown_key_is_reported_with_its_path_and_the_nearest_known_key(text, path, near):
    with pytest.raises(ValidationError) as caught:
        Drawing.from_yaml(text)

    (error,) = caught.value.errors()
    assert ".".join(map(str, error["loc"])) == path
    assert error["msg"] == f"unknown key; nearest known key: {near}"


def test_every_unknown_key_is_reported_at_once():
    with pytest.raises(ValidationError) as caught:
        Square.model_validate({"type": "square", "sidde": 1, "colr": 2})

    assert [error["loc"] for error in caught.value.errors()] == [("sidde",), ("colr",)]


def test_an_unknown_keyword_in_python_is_reported_the_same_way():
    with pytest.raises(ValidationError, match="unknown key; nearest known key: radius"):
        Circle(radius=1, raduis=2)


@pytest.mark.parametrize("got", ["cirle", None, 3, ["circle"]])
def test_a_wrong_type_lists_the_known_ones_of_the_family(got):
    with pytest.raises(ValidationError) as caught:
        Drawing.model_validate({"first": {"type": got}})

    (error,) = caught.value.errors()
    assert error["loc"] == ("first",)
    near = "; did you mean 'circle'?" if got == "cirle" else ""
    assert error["msg"] == f"type is {got!r}, expected one of: circle, square{near}"


def test_a_missing_type_lists_the_known_ones():
    with pytest.raises(ValidationError, match="type is None, expected one of: circle, square"):
        Shape.from_yaml("{radius: 1}")


def test_a_step_between_head_and_kinds_takes_its_own_kinds_only():
    assert Round.from_yaml("{type: circle, radius: 1}") == Circle(radius=1)
    with pytest.raises(ValidationError, match=r"expected one of: circle( |$)"):
        Round.from_yaml("{type: square}")


def test_a_kind_refuses_the_tag_of_another():
    with pytest.raises(ValidationError, match="Input should be 'circle'"):
        Circle.from_yaml("{type: square, radius: 1}")


def test_an_object_of_another_family_is_refused():
    with pytest.raises(ValidationError, match="instance of Shape"):
        Drawing(first=GeoTIFFSource(uri="a.tif"))


# Classes that cannot be


def test_a_kind_without_a_tag_of_its_own_is_refused():
    with pytest.raises(
        TypeError, match=r'kind of Shape without a tag .* `type: Literal\["my-name"\]'
    ):

        class Triangle(Shape):
            sides: int = 3

    with pytest.raises(TypeError, match=r"MyGeoTIFF is a kind of RasterSource without a tag"):

        class MyGeoTIFF(GeoTIFFSource):
            pass


def test_a_taken_tag_is_refused_whatever_the_name_of_the_class():
    for name in ("Square", "Other"):
        with pytest.raises(TypeError, match=r"the tag 'square' is taken by .*test_spec\.Square"):
            type(name, (Shape,), {"__annotations__": {"type": Literal["square"]}, "type": "square"})
    assert Shape.kinds["square"] is Square


def test_a_tag_without_a_default_is_refused():
    with pytest.raises(TypeError, match="`type` has no text as its default"):

        class Ellipse(Shape):
            type: Literal["ellipse"]

    assert "ellipse" not in Shape.kinds


def test_families_do_not_know_each_others_tags():
    assert set(Shape.kinds) == {"circle", "square"}
    assert "geotiff" in RasterSource.kinds
    assert LabelStore.kinds["geotiff"] is not RasterSource.kinds["geotiff"]


@pytest.mark.filterwarnings("ignore:Field name")  # pydantic's own word on it
@pytest.mark.parametrize(
    ("base", "field", "hidden"),
    [
        (Circle, "area", "Circle.area"),
        (GeoTIFFSource, "band_names", "TransformedSource.band_names"),
        (RasterSource, "grid", "RasterSource.grid"),
        (Shape, "to_yaml", "Spec.to_yaml"),
        (Shape, "from_yaml", "Spec.from_yaml"),
    ],
)
def test_a_field_that_hides_a_property_or_method_is_refused(base, field, hidden):
    annotations = {"type": Literal["hiding"], field: int}
    with pytest.raises(TypeError, match=f"{field}.* hides {hidden}; give"):
        type("Hiding", (base,), {"__annotations__": annotations, "type": "hiding", field: 1})
    assert "hiding" not in base.kinds


def test_a_constant_of_a_class_is_no_field_and_hides_nothing():
    class Hexagon(Shape):
        type: Literal["hexagon"] = "hexagon"
        corners: ClassVar[int] = 6

    del Shape.kinds["hexagon"]
    assert "corners" not in Hexagon().model_dump()


def test_an_incomplete_class_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Round()
    with pytest.raises(TypeError, match="abstract"):
        RasterSource()


# Values


def test_a_spec_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Circle(radius=1).radius = 2
    with pytest.raises(ValidationError, match="frozen"):
        GRID.height = 2


def test_fields_are_given_by_name_only():
    with pytest.raises(TypeError, match="positional"):
        GeoTIFFSource("a.tif")


def test_numbers_written_with_an_exponent_and_words_like_no_are_read_as_meant():
    circle = Circle.from_yaml("radius: 1e-3\ncolor: no")

    assert circle == Circle(radius=0.001, color="no")


def test_dates_stay_text():
    assert Square.from_yaml("color: 2020-01-01").color == "2020-01-01"


def test_nan_and_infinity_are_written_as_numbers():
    class Range(Spec):
        low: float = -math.inf
        high: float = math.nan

    again = Range.from_yaml(Range().to_yaml())

    assert again.low == -math.inf
    assert math.isnan(again.high)


def test_a_field_with_an_alias_is_known_by_the_alias():
    class Aliased(Spec):
        given_size: Annotated[int, Field(alias="size")]

    assert Aliased.from_yaml("size: 3").given_size == 3
    assert Aliased(size=3).to_yaml() == "size: 3\n"
    with pytest.raises(ValidationError, match="nearest known key: size"):
        Aliased.from_yaml("sizes: 3")


# FrozenMap


def test_a_frozen_map_is_a_mapping_that_is_hashed_whatever_its_order():
    one, other = FrozenMap({"a": 1, "b": 2}), FrozenMap({"b": 2, "a": 1})

    assert one == other == {"a": 1, "b": 2}
    assert hash(one) == hash(other)
    assert one["b"] == 2
    assert (list(one), len(one)) == (["a", "b"], 2)
    assert repr(one) == "FrozenMap({'a': 1, 'b': 2})"
    assert one != FrozenMap({"a": 1})


def test_a_frozen_map_does_not_change_with_what_it_was_made_of():
    given = {"a": 1}
    frozen = FrozenMap(given)
    given["a"] = 2

    assert frozen["a"] == 1
    with pytest.raises(TypeError):
        frozen["a"] = 2
    with pytest.raises(AttributeError, match="does not change"):
        frozen._items = {}


def test_a_frozen_map_in_a_spec_is_checked_and_comes_back():
    class Mapped(Spec):
        ids: FrozenMap[int, str] = FrozenMap()
        shapes: FrozenMap[str, Shape | None] = FrozenMap()

    mapped = Mapped(ids={"1": "no", -2: "b"}, shapes={"x": Circle(radius=1), "y": None})

    assert mapped.ids == {1: "no", -2: "b"}
    assert isinstance(mapped.ids, FrozenMap)
    assert Mapped.from_yaml(mapped.to_yaml()) == mapped
    assert Mapped(ids=mapped.ids).ids == mapped.ids
    assert hash(Mapped.from_yaml(mapped.to_yaml())) == hash(mapped)
    assert pickle.loads(pickle.dumps(mapped.ids)) == mapped.ids
    with pytest.raises(ValidationError, match="valid integer"):
        Mapped(ids={"one": "a"})


@pytest.mark.parametrize(
    "uri", ["netcdf:a.nc:red", "GTIFF_DIR:2:a.tif", "s3://bucket/a.tif", "zip://a.zip!a.tif"]
)
def test_what_is_no_plain_path_in_a_file_stays_as_it_is(tmp_path, uri):
    path = tmp_path / "source.yaml"
    path.write_text(f"{{type: geotiff, uri: '{uri}'}}")
    assert RasterSource.from_yaml(path).uri == uri
    path.write_text("{type: geotiff, uri: a b.tif}")
    assert RasterSource.from_yaml(path).uri == str(tmp_path.resolve() / "a b.tif")


def test_a_changed_copy_is_checked_as_anything_else():
    source = GeoTIFFSource(uri="a.tif")
    copy = source.model_copy(update={"bands": [2, "nir"], "uri": "b.tif"})
    assert copy == GeoTIFFSource(uri="b.tif", bands=(2, "nir"))
    assert hash(copy) == hash(GeoTIFFSource(uri="b.tif", bands=(2, "nir")))
    with pytest.raises(ValidationError, match=r"transfroms\n.*nearest known key: transforms"):
        source.model_copy(update={"transfroms": ()})
    with pytest.raises(ValidationError, match="overview"):
        source.model_copy(update={"overview": -3})
    assert source.model_copy() == source


def test_a_repr_shows_the_names_that_the_constructor_takes():
    array = ArraySource(data=np.ones((1, 2, 3)), band_names=("a",), grid=Grid(height=2, width=3))
    assert "band_names=('a',)" in repr(array)
    assert "given" not in repr(array)
    assert array.model_copy(update={"band_names": ("b",)}).band_names == ("b",)


def test_a_check_sees_transforms_that_do_not_fit(write_raster, tmp_path):
    uri = write_raster("a.tif", np.ones((3, 5, 6), np.uint8))
    for kind in (GeoTIFFSource(uri=uri), WarpedSource(source=uri, onto=GeoTIFFSource(uri=uri))):
        misfit = kind.model_copy(update={"transforms": (Standardize(mean=(1,), std=(1,)),)})
        with pytest.raises(SourceError, match="1"):
            misfit.check()
