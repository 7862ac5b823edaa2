"""ImageFolderDataset: pairs by name, windows of pictures, and what is told before a training."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from geoseg.classes import ClassMap
from geoseg.datasets import RandomWindowGeoDataset, collate
from geoseg.datasets.epochs import EpochSampler
from geoseg.datasets.folder import ImageFolderDataset
from geoseg.errors import ConfigError, LabelError, SceneError, SourceError
from geoseg.window import Window

CLASSES = ClassMap.model_validate(
    [{"id": 4, "name": "a", "color": "#102030"}, {"id": 2, "name": "b", "color": "#ff8000"}]
)
SIZES = {"one": (20, 31), "three": (9, 40), "two": (33, 17)}


@pytest.fixture
def pixels():
    """{stem: ((height, width, 3) uint8 image, (height, width) uint8 mask)}."""
    rng = np.random.default_rng(5)
    return {
        stem: (
            rng.integers(1, 256, (*size, 3), np.uint8),
            rng.choice(np.array([4, 2, 255], np.uint8), size),
        )
        for stem, size in SIZES.items()
    }


@pytest.fixture
def folder(tmp_path, pixels):
    """Each image in another format: png and png, npy and tif, tif and npy."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    image, mask = pixels["one"]
    Image.fromarray(image).save(tmp_path / "images/one.png")
    Image.fromarray(mask).save(tmp_path / "masks/one.PNG", format="png")
    image, mask = pixels["two"]
    np.save(tmp_path / "images/two.npy", image)
    Image.fromarray(mask).save(tmp_path / "masks/two.tif")
    image, mask = pixels["three"]
    Image.fromarray(image).save(tmp_path / "images/three.tiff")
    np.save(tmp_path / "masks/three.npy", mask.astype(np.int64))
    (tmp_path / "images/.hidden.png").write_text("")
    (tmp_path / "images/notes.txt").write_text("left alone")
    return tmp_path


def made(folder, **options):
    return ImageFolderDataset(folder, **{"classes": CLASSES, "axes": "hwc", **options})


def padded(array, window, fill):
    """The pixels of a window by brute force, `fill` past the edge."""
    out = np.full((*window.shape, *array.shape[2:]), fill, array.dtype)
    for row in range(window.height):
        for col in range(window.width):
            r, c = window.row + row, window.col + col
            if r < array.shape[0] and c < array.shape[1]:
                out[row, col] = array[r, c]
    return out


@pytest.mark.parametrize("crop", ["random", "slide"])
def test_items_are_the_pixels_of_both_files_with_what_lies_outside_not_valid(folder, pixels, crop):
    data = made(folder, size=(16, 24), crop=crop)
    assert len(data) == (3 if crop == "random" else 2 * 2 + 1 * 2 + 3 * 1)
    for item in (data[i] for i in range(len(data))):
        image, mask = pixels[item["scene"]]
        window = Window(item["row"], item["col"], 16, 24)
        valid = padded(np.ones(mask.shape, bool), window, False)
        assert item["image"].dtype == torch.float32
        expected = np.moveaxis(padded(image, window, 0), 2, 0).astype(np.float32)
        assert np.allclose(item["image"].numpy(), expected / 255, atol=1e-7)
        assert item["mask"].dtype == torch.int64
        assert np.array_equal(item["mask"].numpy(), padded(mask, window, 255))
        assert np.array_equal(item["valid"].numpy(), valid)
    with pytest.raises(IndexError):
        data[len(data)]
    assert data[-1]["scene"] == "two"


def test_side_by_side_no_pixel_is_seen_twice_and_none_is_lost(folder, pixels):
    data = made(folder, size=13, crop="slide", normalize=False)
    batch = collate(data.__getitems__(list(range(len(data)))))
    assert batch["image"].dtype == torch.uint8
    assert int(batch["valid"].sum()) == sum(mask.size for _, mask in pixels.values())
    total = sum(int(image.sum(dtype=np.int64)) for image, _ in pixels.values())
    assert int(batch["image"].sum()) == total


def test_random_windows_follow_from_seed_epoch_and_index_and_reach_every_place(folder):
    data = made(folder, size=8, length=600, seed=3)
    places = [data.place(i) for i in range(600)]
    assert places == [made(folder, size=8, length=600, seed=3).place(i) for i in range(600)]
    assert np.bincount([number for number, _ in places]).tolist() == [200, 200, 200]
    rows = {window.row for number, window in places if number == 0}
    assert rows == set(range(20 - 8 + 1))
    data.set_epoch(1)
    assert [data.place(i) for i in range(600)] != places
    assert made(folder, size=8, length=600, seed=4).place(1) != places[1]


def test_whole_images_need_one_size(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"3 sizes .*20 x 31 px \(1, e.g. one\).*pass size="):
        made(folder)
    for stem in ("three", "two"):
        for path in [*folder.glob(f"*/{stem}.*")]:
            path.unlink()
    data = made(folder)
    assert len(data) == 1
    assert data[0]["image"].shape == (3, 20, 31)
    assert (data[0]["row"], data[0]["col"]) == (0, 0)


def test_alpha_nodata_and_nan_are_not_valid_and_ignored(tmp_path):
    (tmp_path / "i").mkdir()
    (tmp_path / "m").mkdir()
    rgba = np.full((6, 7, 4), 200, np.uint8)
    rgba[1, 2, 3], rgba[3, 4, 0] = 0, 9
    Image.fromarray(rgba).save(tmp_path / "i/a.png")
    Image.fromarray(np.zeros((6, 7), np.uint8)).save(tmp_path / "m/a_mask.png")
    data = ImageFolderDataset(
        images=tmp_path / "i", masks=tmp_path / "m", mask_name="{stem}_mask", classes=["x"], nodata=9
    )  # fmt: skip
    item = data[0]
    assert data.channels == 3
    assert np.argwhere(~item["valid"].numpy()).tolist() == [[1, 2], [3, 4]]
    assert np.argwhere(item["mask"].numpy() == 255).tolist() == [[1, 2], [3, 4]]
    assert not item["image"][:, ~item["valid"]].any()
    assert "mask" not in ImageFolderDataset(images=tmp_path / "i", classes=["x"], labels=False)[0]


def test_colours_and_mappings_lead_to_class_ids(folder, pixels):
    table = {4: (16, 32, 48), 2: (255, 128, 0), 255: (0, 0, 0)}
    for stem, (_, mask) in pixels.items():
        picture = np.zeros((*mask.shape, 3), np.uint8)
        for number, color in table.items():
            picture[mask == number] = color
        for path in folder.glob(f"masks/{stem}.*"):
            path.unlink()
        Image.fromarray(picture).save(folder / f"masks/{stem}.png")
    given = {4: "#102030", 2: (255, 128, 0), 255: "#000000"}
    for item in made(folder, size=(33, 40), colors=given):
        height, width = SIZES[item["scene"]]
        assert np.array_equal(item["mask"][:height, :width], pixels[item["scene"]][1])
    with pytest.raises(SourceError, match=r"(?s)masks/one.png.*#000000 \(\d+ pixels\).*2 others"):
        made(folder, size=8, colors=True).check()
    with pytest.raises(ConfigError, match="pass one of the two"):
        made(folder, colors=True, mapping={1: 2})
    with pytest.raises(LabelError, match=r"masks/one.png: has 3 bands.*2 others \(three, two\)"):
        made(folder, size=8)


def test_values_that_are_no_class_are_told_with_file_and_count(folder, pixels):
    made(folder, size=8).check()
    mask = pixels["one"][1].copy()
    mask[3, :5] = 77
    Image.fromarray(mask).save(folder / "masks/one.PNG", format="png")
    data = made(folder, size=8)
    with pytest.raises(LabelError, match=r"masks/one.PNG: .*no class: 77 \(5 pixels\)"):
        data.check()
    ids, counts = np.unique(mask, return_counts=True)
    told = made(folder, size=(33, 40), mapping={4: 2, 2: 4, 77: 255})
    told.check()
    found = next(item for item in told if item["scene"] == "one")["mask"][:20, :31].numpy()
    by_id = dict(zip(ids.tolist(), counts.tolist(), strict=True))
    assert int((found == 2).sum()) == by_id[4]
    assert int((found == 4).sum()) == by_id[2]
    assert int((found == 255).sum()) == by_id[255] + 5


def test_files_without_partner_and_doubled_names_are_counted(folder):
    (folder / "masks/two.tif").rename(folder / "masks/other.tif")
    with pytest.raises(SceneError, match=r"1 image \(two.npy\).*without a mask: expected 'two'"):
        made(folder, size=8)
    (folder / "images/two.npy").unlink()
    with pytest.raises(SceneError, match=r"1 mask \(other.tif\) without an image"):
        made(folder, size=8)
    (folder / "images/one.jpg").write_bytes((folder / "images/one.png").read_bytes())
    with pytest.raises(SceneError, match=r"2 files \(one.jpg, one.png\) with a name that another"):
        made(folder, size=8)
    with pytest.raises(ConfigError, match="is no folder"):
        made(folder / "nowhere")
    (folder / "empty").mkdir()
    with pytest.raises(SceneError, match=r"holds no images, expected \.npy"):
        made(None, images=folder / "empty", masks=folder / "masks")
    with pytest.raises(ConfigError, match="mask_name"):
        made(folder, mask_name="mask")


def test_files_that_do_not_fit_are_counted(folder, pixels):
    Image.fromarray(pixels["one"][1][:-1]).save(folder / "masks/one.PNG", format="png")
    with pytest.raises(SceneError, match=r"1 mask \(one \(19 x 31 px, its image 20 x 31 px\)\)"):
        made(folder, size=8)
    np.save(folder / "images/two.npy", pixels["two"][0].astype(np.uint16))
    Image.fromarray(pixels["one"][1]).save(folder / "masks/one.PNG", format="png")
    with pytest.raises(
        SceneError, match=r"1 image \(two \(3 bands of uint16\)\).*3 bands of uint8"
    ):
        made(folder, size=8)
    (folder / "images/two.npy").write_bytes(b"")
    (folder / "images/three.tiff").write_bytes(b"II*")
    with pytest.raises(SourceError, match=r"three.tiff.*1 other \(two\) cannot be used either"):
        made(folder, size=8)


def test_pictures_that_are_damaged_are_found(folder, pixels):
    path = folder / "images/one.png"
    blob = path.read_bytes()
    for cut in (1, 20, 400):
        path.write_bytes(blob[:-cut])
        with pytest.raises(SourceError, match=rf"one\.png: .*breaks off after {len(blob) - cut}"):
            made(folder, size=8)
    path.write_bytes(blob[:900] + b"\0" + blob[901:])
    data = made(folder, size=8)
    with pytest.raises(SourceError, match=r"one\.png"):
        data.check()
    path.write_bytes(blob + b"appended" * 10_000)
    assert np.array_equal(
        made(folder, size=8, normalize=False).scenes[0].image.read(Window(0, 0, 20, 31)).data,
        np.moveaxis(pixels["one"][0], 2, 0),
    )


def test_wrong_options_are_told(folder):
    for options, words in (
        ({"crop": "center", "size": 8}, "expected one of: random, slide"),
        ({"stride": 4}, "pass size="),
        ({"length": 4}, "pass size="),
        ({"size": 8, "stride": 4}, 'crop="slide"'),
        ({"size": 8, "length": 4, "crop": "slide"}, "length is for random"),
        ({"size": 8, "length": 0}, "at least 1"),
    ):
        with pytest.raises(ConfigError, match=words):
            made(folder, **options)
    with pytest.raises(ConfigError, match="images/ and masks/"):
        made(None)


def test_its_scenes_serve_what_takes_scenes(folder, pixels):
    data = made(folder, size=8)
    windows = RandomWindowGeoDataset(data.scenes, 8, 20)
    for item in windows:
        mask = pixels[item["scene"]][1]
        window = Window(item["row"], item["col"], 8, 8)
        assert np.array_equal(item["mask"], mask[window.slices])
    data.scenes[0].check()


def batches(data, **options):
    loader = DataLoader(data, 4, collate_fn=collate, **options)
    return [(b["image"], b["mask"], b["valid"], b["scene"]) for b in loader]


def same(one, other):
    return all(
        x == y if isinstance(x, list) else torch.equal(x, y)
        for a, b in zip(one, other, strict=True)
        for x, y in zip(a, b, strict=True)
    )


def test_a_pickle_is_small_and_gives_the_same_items(folder):
    data = made(folder, size=(16, 24), length=10)
    data.set_epoch(2)
    before = batches(data)
    text = pickle.dumps(data)
    assert len(text) < 20_000
    assert same(batches(pickle.loads(text)), before)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_give_the_items_of_this_process_in_every_epoch(folder, start):
    data = made(folder, size=(16, 24), length=16)
    loader = DataLoader(
        data, 4, collate_fn=collate, num_workers=2, multiprocessing_context=start,
        persistent_workers=True, sampler=EpochSampler(data, seed=1),
    )  # fmt: skip
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        found = [(b["image"], b["mask"], b["valid"], b["scene"]) for b in loader]
        assert same(found, batches(data, sampler=list(loader.sampler)))


def test_the_sampler_tells_the_epoch_and_shuffles_anew(folder):
    data = made(folder, size=8, length=30)
    sampler = EpochSampler(data)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        assert int(data._epoch) == epoch
        orders.append(list(sampler))
        assert sorted(orders[-1]) == list(range(30))
    assert orders[0] == orders[2] != orders[1]
