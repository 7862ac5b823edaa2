"""Any folder by a pattern, and tables of images and masks."""

from __future__ import annotations

import pickle
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geoseg.convert import convert
from geoseg.convert.layouts.generic import generic, path_pattern, settled
from geoseg.convert.patches import find_patches, missing_files
from geoseg.convert.templates import compiled
from geoseg.errors import ConfigError, SourceError


@pytest.fixture
def place(tmp_path):
    def make(*paths):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(b"x")
        return str(tmp_path)

    return make


def found(layout, root):
    return find_patches(layout, {"images": root})


@pytest.mark.parametrize(
    "pattern", ["*.tif", "a/*.tif", "**/*.tif", "a/**/?1.tif", "*/x*.tif", "**/b/*"]
)
def test_stars_mean_what_they_mean_to_pathlib(place, tmp_path, pattern):
    names = ("x1.tif", "x1.png", "y22.tif")
    place(
        *(f"{folder}{name}" for folder, name in product(("", "a/", "b/", "a/b/", "a/b/c/"), names))
    )
    expected = sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.glob(pattern) if path.is_file()
    )
    search = compiled(path_pattern(pattern)).search
    every = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert expected
    assert sorted(filter(search, every)) == expected


def test_images_and_masks_pair_by_what_their_patterns_share(place):
    root = place(
        *("train/images/a.tif", "train/images/b.tif", "val/images/a.tif"),
        *("train/masks/a.png", "train/masks/b.png", "val/masks/a.png"),
    )
    layout = generic(
        images="{split}/images/{key}.tif",
        masks="{split}/masks/{key}.png",
        key="{grandparent}_{stem}",
    )
    patches = found(layout, root)
    assert [(p.key, p.split, p.mask) for p in patches] == [
        ("train_a", "train", "train/masks/a.png"),
        ("train_b", "train", "train/masks/b.png"),
        ("val_a", "val", "val/masks/a.png"),
    ]
    assert missing_files(layout, patches) == []  # whose bands nobody knows yet
    files = (
        layout.model_copy(
            update={"groups": (layout.groups[0].model_copy(update={"bands": ("R", "G")}),)}
        )
        .groups[0]
        .files(patches[1])
    )
    assert files == (
        (f"{root}/train/images/b.tif", (("R", 1), ("G", 2))),
        (f"{root}/train/masks/b.png", (("mask", 1),)),
    )


def test_a_mask_beside_its_image_is_no_image(place):
    root = place("a.tif", "a_mask.tif", "deep/b.tif", "deep/b_mask.tif")
    patches = found(generic(images="**/{key}.tif", masks="**/{key}_mask.tif"), root)
    assert [(p.path, p.mask) for p in patches] == [
        ("a.tif", "a_mask.tif"),
        ("deep/b.tif", "deep/b_mask.tif"),
    ]


@pytest.mark.parametrize(
    ("images", "masks", "expected"),
    [
        ("i/{key}.tif", "m/{key}.tif", "m/b.tif"),
        ("i/{key}.tif", "m/{key}/{key}_x-y.tif", "m/b/b_x-y.tif"),
        ("i/{key}.tif", "**/n*/{label}/{key}?.tif", "**/n*/*/b?.tif"),
    ],
)
def test_a_mask_that_is_missing_is_told_as_the_path_where_it_is_expected(
    place, images, masks, expected
):
    layout = generic(images=images, masks=masks)
    root = place("i/a.tif", "i/b.tif", "m/a.tif", "m/a/a_x-y.tif", "k/n1/l/a1.tif")
    patches = found(layout, root)
    assert patches[1].mask == expected
    [lacking] = missing_files(layout, patches)
    assert (lacking.patch.key, lacking.files) == ("b", (f"{root}/{expected}",))


def test_a_mask_pattern_of_any_kind_tells_that_a_mask_is_missing(place):
    layout = generic(images="i/{key}.tif", masks="m/{key}.tif")
    [group] = layout.groups
    odd = group.model_copy(update={"mask": r"^m/(?:(?P<key>\w)|(no))\.tif$"})
    layout = layout.model_copy(update={"groups": (odd,)})
    patches = found(layout, place("i/a.tif", "i/b.tif", "m/a.tif"))
    [lacking] = missing_files(layout, patches)
    assert lacking.patch.key == "b"


@pytest.mark.parametrize("there", [(), ("m/x.tif",)])
def test_masks_of_which_none_belongs_to_an_image_are_an_error_of_the_patterns(place, there):
    root = place("i/a.tif", "i/b.tif", *there)
    with pytest.raises(
        SourceError, match=r"no image has a mask: images: 2, among them i/a\.tif; masks"
    ):
        found(generic(images="i/{key}.tif", masks="m/{key}.tif"), root)


def test_a_run_that_lacks_masks_stops_and_says_how_an_image_has_none(place, tmp_path):
    layout = generic(images="i/{key}.tif", masks="m/{key}.tif", bands=["1"])
    root = place("i/a.tif", "i/b.tif", "i/c.tif", "m/a.tif")
    told = r"b \(.*missing: .*m/b\.tif \(2 patches are not whole\).*leave the cell empty"
    with pytest.raises(SourceError, match=told):
        convert(layout, {"images": root}, str(tmp_path / "out" / "store"))


def test_a_mask_without_an_image_is_a_warning(place, tmp_path):
    layout = generic(images="i/{key}.tif", masks="m/{key}.tif")
    root = place("i/a.tif", "i/b.tif", "i/c.tif", "m/a.tif")
    place("m/b.tif", "m/c.tif", "m/d.tif")
    with pytest.warns(
        UserWarning, match=r"masks without an image, left out: 1, among them m/d\.tif"
    ):
        assert [p.mask for p in found(layout, root)] == ["m/a.tif", "m/b.tif", "m/c.tif"]


def test_two_masks_of_one_key_are_an_error(place):
    root = place("i/a.tif", "m1/a.tif", "m2/a.tif")
    with pytest.raises(SourceError, match=r"two masks have the key 'a': m1/a\.tif and m2/a\.tif"):
        found(generic(images="i/{key}.tif", masks="m?/{key}.tif"), root)


def test_a_folder_a_class(place):
    patches = found(generic(images="{label}/*.jpg"), place("sea/1.jpg", "sea/2.jpg", "wood/3.JPG"))
    assert [(p.key, p.labels) for p in patches] == [
        ("1", ("sea",)),
        ("2", ("sea",)),
        ("3", ("wood",)),
    ]


def test_without_a_pattern_every_image_is_taken(place):
    root = place("a.tif", "b/c.PNG", "b/d.jpeg", "b/e.txt", ".h/f.tif")
    assert [p.key for p in found(generic(), root)] == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("{key}/{band}.tif", "a/B2.tif a/B10.tif b/B2.tif b/B10.tif"),
        ("**/{key}_{band}.tif", "x/a_B2.tif x/a_B10.tif x/b_B2.tif y/b_B2.txt x/b_B10.tif"),
        ("{band}/{key}.tif", "B2/a.tif B10/a.tif B2/b.tif B10/b.tif"),
        (
            "s/{key}/x/{band}/{key}.tif",
            "s/a/x/B2/a.tif s/a/x/B10/a.tif s/b/x/B2/b.tif s/b/x/B10/b.tif",
        ),
    ],
)
@pytest.mark.parametrize("bands", [None, ("B2", "B10")])
def test_a_file_a_band_makes_one_patch_of_several_files(place, pattern, files, bands):
    root = place(*files.split())
    layout = generic(images=pattern, bands=bands)
    patches = found(layout, root)
    assert missing_files(layout, patches) == []
    layout = settled(layout, patches)
    assert layout.groups[0].bands == ("B2", "B10")  # as people count, not as text
    assert [patch.key for patch in patches] == ["a", "b"]
    expected = [name for name in files.split() if name.endswith(".tif")]
    named = [path for patch in patches for path in layout.groups[0].paths(patch)]
    assert sorted(named) == sorted(f"{root}/{name}" for name in expected)


def test_only_the_bands_that_are_named_are_taken(place):
    root = place("a_B02.tif", "a_cloud_mask.tif", "a_B03.tif", "b_B03.tif")
    layout = generic(images="{key}_{band}.tif", bands=("B02", "cloud_mask"))
    (patch,) = found(layout, root)
    assert [Path(path).name for path in layout.groups[0].paths(patch)] == [
        "a_B02.tif",
        "a_cloud_mask.tif",
    ]


def test_a_band_that_one_patch_lacks_is_missing(place):
    layout = generic(images="{key}_{band}.tif")
    patches = found(layout, place("a_1.tif", "a_2.tif", "b_1.tif"))
    (item,) = missing_files(layout, patches)
    assert [Path(file).name for file in item.files] == ["b_2.tif"]


def test_bands_that_are_not_named_are_those_of_the_first_image(write_raster, tmp_path):
    (tmp_path / "a").mkdir()
    write_raster("a/1.tif", np.zeros((3, 4, 5), "uint8"), descriptions=("Red", "Green", "Blue"))
    write_raster("a/2.tif", np.zeros((3, 4, 5), "uint8"))
    layout = generic(images="a/{key}.tif")
    patches = found(layout, str(tmp_path))
    with pytest.raises(ConfigError, match=r"names no bands.*settled\(layout, patches\)"):
        layout.groups[0].files(patches[0])
    assert settled(layout, patches).groups[0].bands == ("Red", "Green", "Blue")
    assert settled(layout, patches[1:]).groups[0].bands == ("1", "2", "3")
    assert settled(generic(bands=("x",)), patches).groups[0].bands == ("x",)


def test_bands_that_are_not_named_are_those_of_the_first_image_that_can_be_opened(
    write_raster, tmp_path
):
    (tmp_path / "a").mkdir()
    for name in ("1", "2"):
        (tmp_path / f"a/{name}.tif").write_bytes(b"no image")
    write_raster("a/3.tif", np.zeros((2, 4, 5), "uint8"), descriptions=("Red", "Green"))
    write_raster("a/4.tif", np.zeros((3, 4, 5), "uint8"))
    layout = generic(images="a/{key}.tif")
    assert settled(layout, found(layout, str(tmp_path))).groups[0].bands == ("Red", "Green")


def test_the_first_image_that_is_none_is_an_error(place):
    layout = generic()
    patches = found(layout, place("a.tif"))
    with pytest.raises(SourceError, match=r"a\.tif"):
        settled(layout, patches)


ROWS = [
    {"image": "i/b.tif", "mask": "m/b.png", "key": "", "split": "train", "labels": "sea; wood"},
    {"image": "i/a.tif", "mask": "", "key": "k1", "split": "", "labels": ""},
]


def as_csv(path):
    lines = [",".join(ROWS[0]), *(",".join(row.values()) for row in ROWS)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")  # as spreadsheets write it


def as_parquet(path):
    rows = [
        {**ROWS[0], "labels": ["sea", "wood"], "more": 1},
        {**dict.fromkeys(ROWS[1]), "image": "i/a.tif", "key": "k1", "more": 2},
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize(("name", "write"), [("t.csv", as_csv), ("t.parquet", as_parquet)])
def test_a_table_names_images_masks_keys_splits_and_labels(place, tmp_path, name, write):
    root = place("i/a.tif", "i/b.tif", "m/b.png")
    write(tmp_path / name)
    layout = generic(csv=str(tmp_path / name), bands=("x",))
    patches = find_patches(layout, {})  # relative to the table's folder
    assert patches == found(layout, root)
    assert [(p.key, p.sample, p.path, p.mask, p.split, p.labels) for p in patches] == [
        ("k1", "k1", "i/a.tif", None, None, None),
        ("b", "b", "i/b.tif", "m/b.png", "train", ("sea", "wood")),
    ]
    assert missing_files(layout, patches) == []
    (tmp_path / "m" / "b.png").unlink()
    (item,) = missing_files(layout, patches)
    assert item.describe() == f"b ({root}/i/b.tif): missing: {root}/m/b.png"


@pytest.mark.parametrize("cell", [0, 7, 0.0, False, "0"])
def test_a_number_in_parquet_is_the_text_that_csv_has_of_it(place, tmp_path, cell):
    place("a.tif")
    row = {"image": "a.tif", "key": cell, "split": cell, "labels": cell}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text(f"image,key,split,labels\na.tif,{cell},{cell},{cell}\n")
    one, other = (
        find_patches(generic(csv=str(tmp_path / name)), {}) for name in ("t.parquet", "t.csv")
    )
    assert one == other
    assert [(p.key, p.split, p.labels) for p in one] == [(str(cell), str(cell), (str(cell),))]


def test_a_column_of_a_table_that_no_csv_could_have_is_an_error(place, tmp_path):
    place("a.tif")
    table = pa.Table.from_pylist([{"image": "a.tif", "split": b"train"}])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(
        SourceError, match=r"t\.parquet: the column split holds binary, expected text"
    ):
        find_patches(generic(csv=str(tmp_path / "t.parquet")), {})


def test_a_table_may_name_folders_with_a_file_a_band(place, tmp_path):
    root = place("a/B1.tif", "a/B2.tif")
    (tmp_path / "t.csv").write_text("image\na\n")
    layout = generic(csv=f"{root}/t.csv", images="{band}.tif")
    patches = find_patches(layout, {})
    assert settled(layout, patches).groups[0].paths(patches[0]) == (
        f"{root}/a/B1.tif",
        f"{root}/a/B2.tif",
    )


def test_paths_of_a_table_are_below_the_source(place, tmp_path):
    root = place("i/a.tif")
    (tmp_path / "t.csv").write_text(f"image\n{root}/i/a.tif\n")
    layout = generic(csv=f"{root}/t.csv")
    assert [patch.path for patch in find_patches(layout, {})] == ["i/a.tif"]
    (tmp_path / "t.csv").write_text("image\n/elsewhere/a.tif\n")
    with pytest.raises(SourceError, match=r"/elsewhere/a\.tif: the table names this file"):
        find_patches(layout, {})


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("image\n\n\n", "the table has no rows"),
        ("picture,mask\na.tif,b.tif\n", "has the columns picture, mask, expected image"),
        ("image,mask\n,b.tif\n", "row 1 names no image"),
        ("image\na.tif\nb/a.tif\n", "two patches have the key 'a'"),
    ],
)
def test_a_table_that_is_wrong_is_told(tmp_path, text, error):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SourceError, match=error):
        find_patches(generic(csv=str(tmp_path / "t.csv")), {})


def test_a_table_that_is_missing_or_none_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.csv: there is no such file"):
        find_patches(generic(csv=str(tmp_path / "none.csv")), {})
    (tmp_path / "t.parquet").write_text("no parquet")
    with pytest.raises(SourceError, match=r"t\.parquet: this table cannot be read"):
        find_patches(generic(csv=str(tmp_path / "t.parquet")), {})
    (tmp_path / "t.csv").write_bytes(b"image\n\xff\xfe.tif\n")
    with pytest.raises(SourceError, match=r"t\.csv: this table cannot be read"):
        find_patches(generic(csv=str(tmp_path / "t.csv")), {})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"images": "{name}.tif"}, r"'\{name\}' is no field"),
        ({"images": "{key.tif"}, "'{' is no field"),
        ({"images": "*.tif", "masks": "{key}.png"}, "put it in both"),
        ({"masks": "{key}.png"}, "give images, too"),
        ({"csv": "t.csv", "masks": "{key}.png"}, "column mask"),
        ({"key": "{tile}"}, r"^key has the unknown field 'tile'; known: grandparent, name, parent"),
        ({"bands": ("a", "a")}, "^bands have names of their own"),
        ({"images": "{key}", "masks": "{key}", "bands": ("mask",)}, "beside a mask file"),
        ({"images": "{band}/*.tif"}, "got '\\*'"),
        ({"images": "{key}_{band}.tif", "key": "{parent}"}, "the key cannot be"),
    ],
)
def test_a_pattern_that_cannot_work_is_told(arguments, text):
    with pytest.raises(ConfigError, match=text):
        generic(**arguments)


@pytest.mark.parametrize(
    ("layout", "files", "cure"),
    [
        (generic(images="{split}/i/{key}.tif"), "a/i/x.tif b/i/x.tif", "--key '{split}_{key}'"),
        (generic(images="{label}/*.jpg"), "a/x.jpg b/x.jpg", "--key '{label}_{stem}'"),
        (generic(), "a/x.jpg a/x.png", "--key '{name}', or tell masks from images by --images"),
        (generic(), "a/x.jpg b/x.jpg", "--key '{parent}_{stem}'"),
        (generic(), "a/c/x.jpg b/c/x.jpg", "--key '{grandparent}_{stem}'"),
        (
            generic(),
            "a/c/x.jpg b/c/x.jpg a/d/x.jpg a/c/x.png",
            "--key '{grandparent}_{parent}_{name}'",
        ),
    ],
)
def test_keys_that_are_there_twice_are_told_with_a_template_that_works(place, layout, files, cure):
    root = place(*files.split())
    with pytest.raises(SourceError) as caught:
        found(layout, root)
    assert cure in str(caught.value)
    key = cure.split("'")[1]
    [group] = layout.groups
    works = layout.model_copy(update={"groups": (group.model_copy(update={"key": key}),)})
    assert len(found(works, root)) == len(files.split())


def test_a_file_a_band_with_the_key_in_its_name_is_told_no_other_key(place):
    root = place("a/x_B1.tif", "b/x_B1.tif")
    with pytest.raises(SourceError, match=r"remove or rename one of them$"):
        found(generic(images="*/{key}_{band}.tif"), root)


@pytest.mark.parametrize("counts", [(3, 1), (1, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_images_of_other_bands_than_the_first_are_told_with_both_files(
    write_raster, tmp_path, counts, dtype
):
    a, b = (
        write_raster(f"{name}.tif", np.ones((count, 4, 5), dtype))
        for name, count in zip("ab", counts, strict=True)
    )
    sources, store = {"images": str(tmp_path)}, str(tmp_path / "out" / "store")
    with pytest.raises(SourceError) as caught:
        convert(generic(), sources, store, workers=0)
    wrong = f"{b}: number of bands: {counts[1]}, expected {counts[0]}"
    for told in (wrong, str(a), "--bands", "--masks"):
        assert told in str(caught.value)
    assert convert(generic(bands=["1"]), sources, store, workers=0).written == 2


def test_the_model_of_bands_is_no_part_of_what_is_saved(tmp_path):
    [group] = generic().groups
    settled_group = group.with_bands(("1",), like="a.tif")
    assert (settled_group.like, group.like) == ("a.tif", None)
    assert settled_group.model_dump(mode="json") == group.model_copy(
        update={"bands": ("1",)}
    ).model_dump(mode="json")
    assert pickle.loads(pickle.dumps(settled_group)).like == "a.tif"


@pytest.mark.parametrize("images", ["*.jpg", "{split}/{key}.jpg", "x/?.jpg"])
def test_a_pattern_of_a_search_beside_a_table_is_refused(images):
    with pytest.raises(ConfigError, match="a table names the images itself"):
        generic(csv="t.csv", images=images)


def test_a_table_of_files_is_told_where_folders_are_expected(place, tmp_path):
    root = place("a/x.jpg")
    (tmp_path / "t.csv").write_text("image\na/x.jpg\n")
    with pytest.raises(
        SourceError, match=r"names the file .*a/x\.jpg, expected folders.*leave --images"
    ):
        found(generic(csv=str(tmp_path / "t.csv"), images="{band}.jpg"), root)
    (tmp_path / "t.csv").write_text("image\na\n")
    assert len(found(generic(csv=str(tmp_path / "t.csv"), images="{band}.jpg"), root)) == 1
