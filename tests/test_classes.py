import pickle

import numpy as np
import pytest
from pydantic import ValidationError

from geoseg.classes import ClassInfo, ClassMap
from geoseg.errors import LabelError

SCATTERED = ClassMap(
    classes=[
        {"id": 7, "name": "water", "color": (0, 0, 255)},
        {"id": 0, "name": "forest", "color": "#00ff7F"},
        {"id": 254, "name": "road", "color": [9, 8, 7]},
    ],
    ignore_id=3,
)


def test_names_alone_are_classes_with_ids_from_zero():
    classes = ClassMap.of("background", "building", "no")

    assert classes.names == ("background", "building", "no")
    assert classes.ids == (0, 1, 2)
    assert len(classes) == 3
    assert classes.ignore_id == 255
    assert (classes.id_of("building"), classes.name_of(2)) == (1, "no")


def test_ids_need_not_follow_the_order_of_channels():
    assert SCATTERED.ids == (7, 0, 254)
    assert [SCATTERED.id_of(name) for name in SCATTERED.names] == [7, 0, 254]
    assert [SCATTERED.name_of(i) for i in SCATTERED.ids] == ["water", "forest", "road"]
    assert SCATTERED.classes[1].color == (0, 255, 127)


def test_tables_lead_from_ids_to_channels_and_back():
    channels, ids = SCATTERED.channel_table(), SCATTERED.id_table()

    assert channels.dtype == ids.dtype == np.uint8
    assert channels[[7, 0, 254]].tolist() == [0, 1, 2]
    assert (np.delete(channels, [7, 0, 254]) == 255).all()
    assert ids[:3].tolist() == [7, 0, 254]
    assert (ids[3:] == 3).all()


def test_the_colour_table_is_opaque_but_for_ignored_pixels():
    assert SCATTERED.color_table() == {
        7: (0, 0, 255, 255),
        0: (0, 255, 127, 255),
        254: (9, 8, 7, 255),
        3: (0, 0, 0, 0),
    }


@pytest.mark.parametrize(
    "text",
    [
        "[field, road]",
        "{classes: [field, road]}",
        "{classes: [{name: field}, road], ignore_id: 255}",
    ],
)
def test_a_list_of_names_is_a_class_map_in_yaml(text):
    assert ClassMap.from_yaml(text) == ClassMap.of("field", "road")


def test_a_class_map_survives_yaml_pickle_and_hash():
    for classes in (SCATTERED, ClassMap.of("no", "on", "1")):
        assert ClassMap.from_yaml(classes.to_yaml()) == classes
        assert pickle.loads(pickle.dumps(classes)) == classes
        assert hash(ClassMap.from_yaml(classes.to_yaml())) == hash(classes)
    assert ClassMap.of("a", "b") != ClassMap.of("b", "a")


@pytest.mark.parametrize("count", [11, 60, 255])
def test_default_colours_are_distinct(count):
    classes = ClassMap.of(*(f"class {i}" for i in range(count)))

    assert len({info.color for info in classes.classes}) == count


def test_default_colours_of_the_first_dozen_are_far_apart():
    colors = np.array([info.color for info in ClassMap.of(*"abcdefghijkl").classes], float)
    apart = np.linalg.norm(colors[:, None] - colors[None], axis=-1)

    assert apart[~np.eye(len(colors), dtype=bool)].min() > 30


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a", "b", "a"], "class name given twice: a"),
        ([{"name": "a"}, {"name": "b", "id": 0}], "class id given twice: 0"),
        ([], "at least 1 item"),
        ([{"name": ""}], "at least 1 character"),
        ([{"name": "a", "id": 255}], "less than or equal to 254"),
        ([{"name": "a", "id": -1}], "greater than or equal to 0"),
        ([{"name": "a", "colour": "#000000"}], "unknown key; nearest known key: color"),
        (
            [{"name": "a", "color": "#00000g"}],
            "'#00000g' is no colour, expected '#rrggbb' or three",
        ),
        ([{"name": "a", "color": "red"}], "'red' is no colour"),
        ([{"name": "a", "color": [0, 0, 256]}], "less than or equal to 255"),
        ([3], "valid dictionary or instance of ClassInfo"),
        ([f"class {i}" for i in range(256)], "less than or equal to 254"),
    ],
)
def test_classes_that_cannot_be_are_refused(classes, message):
    with pytest.raises(ValidationError, match=message):
        ClassMap.model_validate(classes)


def test_an_ignore_id_that_is_a_class_is_refused():
    with pytest.raises(
        ValidationError, match="ignore_id 1 is the id of a class too; choose another"
    ):
        ClassMap.of("a", "b", ignore_id=1)


def test_unknown_names_and_ids_list_the_known_ones():
    with pytest.raises(LabelError, match="no class is called 'raod'; there are: field, road"):
        ClassMap.of("field", "road").id_of("raod")
    with pytest.raises(LabelError, match=r"no class has the id 9; there are: \(0, 1\)"):
        ClassMap.of("field", "road").name_of(9)


def test_classes_given_as_objects_are_kept():
    info = ClassInfo(id=5, name="field", color="#010203")

    assert ClassMap(classes=(info,)).classes == (info,)
    assert info.color == (1, 2, 3)
