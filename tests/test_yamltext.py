import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg import yamltext
from geoseg.errors import ConfigError

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
    st.sampled_from(
        ["no", "on", "1e-3", "2020-01-01", "010", "0x1f", "1_000", "~", ".nan", "null", "-"]
    ),
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcno-: 19", min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(documents)
def test_what_is_dumped_is_loaded_again(value):
    assert yamltext.load(yamltext.dump(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("Off", "Off"),
        ("true", True),
        ("False", False),
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-.5", -0.5),
        ("+7", 7),
        ("010", 10),
        ("08", 8),
        ("0x1F", 31),
        ("-.inf", -math.inf),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01T10:00:00Z", "2020-01-01T10:00:00Z"),
        ("~", None),
        ("", None),
        ("'1'", "1"),
    ],
)
def test_scalars_are_what_people_mean(text, value):
    loaded = yamltext.load(text)

    assert loaded == value
    assert type(loaded) is type(value)


def test_nan_is_a_number():
    assert math.isnan(yamltext.load(".nan"))
    assert math.isnan(yamltext.load(yamltext.dump(math.nan)))


def test_a_key_may_be_called_no():
    assert yamltext.load("no: 1\non: 2") == {"no": 1, "on": 2}


def test_merge_keys_work_and_are_no_duplicates():
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {<<: *b, x: 4}"

    assert yamltext.load(text)["b"] == {"x": 1, "y": 3}
    assert yamltext.load(text)["c"] == {"x": 4, "y": 3}


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "top:\n- {x: 1}\n- {a: 1,\n   a: 2}"])
def test_a_key_given_twice_is_an_error_that_names_file_line_and_key(text):
    with pytest.raises(ConfigError, match=r"^run\.yaml, line [34]: the key 'a' is given twice"):
        yamltext.load(text, name="run.yaml")


@pytest.mark.parametrize("text", ["a: [1\nb: 2", "a: b: c", "- x\ny: 1", "--- 1\n--- 2"])
def test_broken_yaml_is_an_error_of_one_line_that_names_file_and_place(text):
    with pytest.raises(ConfigError, match=r"not YAML: .*\"run\.yaml\", line \d") as caught:
        yamltext.load(text, name="run.yaml")

    assert "\n" not in str(caught.value)


def test_a_control_character_is_an_error_that_names_the_file():
    with pytest.raises(ConfigError, match=r"^run\.yaml: not YAML: .* character 4; is it a binary"):
        yamltext.load("a: \x00", name="run.yaml")


def test_a_python_object_is_never_made():
    with pytest.raises(ConfigError, match="not YAML"):
        yamltext.load("!!python/object/apply:os.getcwd []")


def test_lists_of_scalars_stand_in_one_piece_and_keys_keep_their_order():
    text = yamltext.dump({"b": [1, 2.5, "x"], "a": [{"c": [True, None]}], "e": []})

    assert text == "b: [1, 2.5, x]\na:\n- c: [true, null]\ne: []\n"


def test_a_value_used_twice_is_written_twice():
    shared = [1, 2]

    assert yamltext.dump({"a": shared, "b": shared}) == "a: [1, 2]\nb: [1, 2]\n"


@pytest.mark.parametrize("text", ["a: !!int abc", "a: !!float abc", "a: !!bool abc", "[" * 3000])
def test_values_that_no_yaml_can_mean_are_clear_errors(text):
    with pytest.raises(ConfigError, match="YAML"):
        yamltext.load(text)
