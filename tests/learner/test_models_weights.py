"""Weights that a network begins with: files of all shapes, first layers for other bands, what is refused."""

from __future__ import annotations

import logging
import os
import pickle
import urllib.error
import warnings
from email.message import Message

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from geoseg.errors import BundleError, ConfigError
from geoseg.learner import models
from geoseg.learner.models import hub, library, networks
from geoseg.learner.models.fitting import load_into
from geoseg.learner.models.stem import adapted

SMALL = "tu-mobilenetv3_small_050"


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def built(bands=3, classes=2, **options):
    """A network with an encoder of timm and a thin decoder."""
    defaults = {"encoder": SMALL, "decoder_channels": (8, 8, 8, 8, 8)}
    return models.build("unet", bands, classes, **{**defaults, **options})


def small(bands=3, classes=2, **options):
    return models.build("unet", bands, classes, width=4, depth=2, **options)


def encoder_state(network):
    return models.encoder_of(network).state_dict()


def counted(state):
    return sum("num_batches" not in key for key in state)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def written(path, state):
    state = {key: value.contiguous() for key, value in state.items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return str(path)


@settings(max_examples=30)
@given(
    given=st.integers(1, 13), bands=st.integers(1, 13), group=st.sampled_from([1, 4]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_an_image_of_equal_bands_gives_the_same_in_an_adapted_layer(given, bands, group, seed):
    draw = np.random.default_rng(seed)
    kernel = torch.from_numpy(draw.normal(size=(5, group * given, 3, 3)))
    grey = torch.from_numpy(draw.normal(size=(1, group, 1, 4, 3)))

    def response(kernel, bands):
        image = grey.expand(1, group, bands, 4, 3).flatten(1, 2)
        return torch.einsum("ocij,nchw->nohwij", kernel, image)

    wide = adapted(kernel, bands=bands, given=given)
    assert wide.shape == (5, group * bands, 3, 3)
    assert wide.dtype == kernel.dtype
    torch.testing.assert_close(response(wide, bands), response(kernel, given), rtol=1e-4, atol=1e-4)


def test_the_first_bands_keep_their_kernels_and_the_others_get_the_mean():
    kernel = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1)
    wide = adapted(kernel, bands=5).flatten().tolist()
    assert wide == pytest.approx([0.6, 1.2, 3.6, 1.8, 1.8])


def test_fewer_bands_all_get_the_mean():
    kernel = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1)
    assert adapted(kernel, bands=2).flatten().tolist() == pytest.approx([4.5, 4.5])
    assert adapted(kernel, bands=1).flatten().tolist() == pytest.approx([9.0])
    assert adapted(kernel, bands=3) is kernel


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_of_the_whole_network_comes_back(tmp_path, suffix):
    trained = built()
    path = written(tmp_path / f"whole{suffix}", trained.network.state_dict())
    assert same(built(weights=path).state_dict(), trained.state_dict())


class _Tiny(torch.nn.Module):
    """An encoder and a head, as networks of the library have them."""

    def __init__(self, bands=3, classes=2):
        super().__init__()
        self.encoder = torch.nn.Sequential(torch.nn.Conv2d(bands, 4, 3), torch.nn.BatchNorm2d(4))
        self.head = torch.nn.Conv2d(4, classes, 1)


@pytest.mark.parametrize(
    "prefix", ["", "encoder.", "module.", "module.encoder.", "network.network.encoder."]
)
def test_words_before_the_names_do_not_matter(prefix):
    trained, network = _Tiny(), _Tiny()
    state = {prefix + key: value for key, value in trained.encoder.state_dict().items()}
    load_into(network, state, source="file", bands=3, make=_Tiny)
    assert same(network.encoder.state_dict(), trained.encoder.state_dict())
    assert not torch.equal(network.head.weight, trained.head.weight)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_checkpoint_holds_them_under_a_key(tmp_path, key):
    trained = small()
    weights = {f"model.{name}": tensor for name, tensor in trained.state_dict().items()}
    torch.save({"epoch": 3, key: weights}, tmp_path / "run.pth")
    assert same(small(weights=str(tmp_path / "run.pth")).state_dict(), trained.state_dict())


def test_a_file_of_timms_own_network_fits_its_encoder(tmp_path):
    timm = pytest.importorskip("timm")
    trained = timm.create_model("convnext_atto", pretrained=False)
    path = written(tmp_path / "convnext.safetensors", trained.state_dict())
    with pytest.warns(
        UserWarning, match=r"tensors of the encoder are loaded; \d in it have no place"
    ):
        network = built(encoder="tu-convnext_atto", weights=path)
    found = encoder_state(network)["model.stages_1.blocks.0.conv_dw.weight"]
    assert torch.equal(found, trained.state_dict()["stages.1.blocks.0.conv_dw.weight"])


def test_the_rest_of_the_network_is_that_of_the_seed(tmp_path):
    path = written(tmp_path / "encoder.pth", encoder_state(built()))
    torch.manual_seed(7)
    plain = built()
    torch.manual_seed(7)
    with_weights = built(weights=path)
    for part in ("decoder", "segmentation_head"):
        first, second = (getattr(n.network, part).state_dict() for n in (plain, with_weights))
        assert same(first, second)


@pytest.mark.parametrize(
    ("encoder", "bands"),
    [
        (SMALL, 5),
        pytest.param(SMALL, 1, marks=pytest.mark.slow),
        pytest.param("mobilenet_v2", 2, marks=pytest.mark.slow),
    ],
)
def test_first_layers_are_adapted_alike_in_both_libraries(tmp_path, encoder, bands):
    trained = built(encoder=encoder)
    path = written(tmp_path / "rgb.safetensors", encoder_state(trained))
    network = built(bands, encoder=encoder, weights=path)
    key = next(iter(encoder_state(network)))
    expected = adapted(encoder_state(trained)[key], bands=bands)
    assert torch.equal(encoder_state(network)[key], expected)
    grey = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        first = models.encoder_of(trained.eval())(grey.expand(-1, 3, -1, -1))[1:]
        second = models.encoder_of(network.eval())(grey.expand(-1, bands, -1, -1))[1:]
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_first_layer_for_other_bands_than_three_is_told(tmp_path):
    trained = built(13)
    path = written(tmp_path / "s2.safetensors", encoder_state(trained))
    with pytest.warns(
        UserWarning, match=r"its encoder.model.conv_stem.weight is for 13 bands, not 4"
    ):
        network = built(4, weights=path)
    expected = adapted(encoder_state(trained)["model.conv_stem.weight"], bands=4, given=13)
    assert torch.equal(encoder_state(network)["model.conv_stem.weight"], expected)


def test_a_head_for_other_classes_is_left_out_and_told(tmp_path):
    trained = built(classes=5)
    count = counted(trained.state_dict())
    path = written(tmp_path / "whole.pth", trained.state_dict())
    with pytest.warns(
        UserWarning,
        match=rf"{count - 2} of {count} tensors of the network are loaded; 2 of another shape there and stay "
        r"random \(segmentation_head.0.bias, segmentation_head.0.weight\)",
    ):
        network = built(classes=2, weights=path)
    assert same(network.network.decoder.state_dict(), trained.network.decoder.state_dict())


def test_what_is_missing_and_what_is_unused_is_counted(tmp_path):
    state = encoder_state(built())
    count, first = counted(state), next(iter(state))
    del state[first]
    state["fc.weight"] = torch.zeros(10, 5)
    path = written(tmp_path / "encoder.pth", state)
    with pytest.warns(
        UserWarning,
        match=rf"{count - 1} of {count} tensors of the encoder are loaded; 1 not found in it and stay "
        rf"random \(encoder.{first}\); 1 in it have no place here \(fc.weight\)",
    ):
        built(weights=path)


def test_old_files_without_counters_of_batches_fit():
    trained, network = _Tiny(), _Tiny()
    state = {k: v for k, v in trained.state_dict().items() if "num_batches" not in k}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_into(network, state, source="file", bands=3, make=_Tiny)
    assert all(torch.equal(network.state_dict()[key], state[key]) for key in state)


def test_weights_of_another_encoder_are_refused(tmp_path):
    other = models.build("linknet/tu-convnext_atto", 3, 2)
    path = written(tmp_path / "other.safetensors", encoder_state(other))
    with pytest.raises(
        BundleError, match=r"only \d+ of the \d+ tensors of the encoder fit.*the same"
    ):
        built(weights=path)


def test_the_built_in_network_takes_files_too(tmp_path):
    trained = small(3)
    path = written(tmp_path / "small.safetensors", trained.state_dict())
    assert same(small(3, weights=path).state_dict(), trained.state_dict())
    network = small(4, weights=path)
    for key in ("stem.0.0.weight", "fine.0.0.0.weight"):
        expected = adapted(trained.state_dict()[key], bands=4)
        assert torch.equal(network.state_dict()[key], expected)
    with pytest.raises(BundleError, match="fit"):
        models.build("unet", 3, 2, width=6, depth=4, weights=path)
    with pytest.raises(ConfigError, match="no weights of ImageNet; name an encoder"):
        small(weights="imagenet")


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not(tmp_path, how):
    trap, path = str(tmp_path / "trap"), tmp_path / "evil.pth"
    if how == "torch":
        torch.save({"conv1.weight": _Evil(trap)}, path)
    else:
        path.write_bytes(pickle.dumps({"conv1.weight": _Evil(trap)}, protocol=2))
    with pytest.raises(BundleError, match=r"evil.pth: is damaged, or holds more than tensors"):
        small(weights=str(path))
    assert not os.path.exists(trap)  # noqa: PTH110


def test_a_whole_pickled_network_is_refused(tmp_path):
    torch.save(small(), tmp_path / "net.pt")
    with pytest.raises(BundleError, match=r"save_file\(network.state_dict\(\), path\)"):
        small(weights=str(tmp_path / "net.pt"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_a_cut_file_is_refused(tmp_path, suffix, share):
    path = tmp_path / f"cut{suffix}"
    written(path, small().state_dict())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(BundleError, match=f"cut{suffix}: "):
        small(weights=str(path))


def test_a_file_without_names_is_refused(tmp_path):
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "epoch.pth")
    for name in ("list.pth", "epoch.pth"):
        with pytest.raises(BundleError, match=f"{name}: holds no state dict; expected"):
            small(weights=str(tmp_path / name))


def test_a_missing_file_and_an_unknown_ending_are_refused(tmp_path):
    with pytest.raises(BundleError, match="there is no such file of weights"):
        small(weights=str(tmp_path / "none.pth"))
    with pytest.raises(ConfigError, match=r'expected None, "imagenet", or a local file'):
        small(weights="imagenett")


@pytest.mark.parametrize("encoder", [pytest.param("mobilenet_v2", marks=pytest.mark.slow), SMALL])
def test_imagenet_gives_the_librarys_weights_by_the_same_rule(monkeypatch, encoder):
    trained = built(encoder=encoder)
    real = library.made

    def made(architecture, name, *, pretrained, **options):
        if not pretrained:
            return real(architecture, name, pretrained=False, **options)
        assert options["in_channels"] == 3
        return trained.network

    monkeypatch.setattr(networks.library, "made", made)
    network = built(4, encoder=encoder, weights="imagenet")
    key, *rest = encoder_state(network)
    assert torch.equal(encoder_state(network)[key], adapted(encoder_state(trained)[key], bands=4))
    assert all(torch.equal(encoder_state(network)[k], encoder_state(trained)[k]) for k in rest)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            FileNotFoundError("no route to the hub"),
            "cannot be downloaded .no route.* give the local",
        ),
        (RuntimeError("No pretrained weights exist"), "there are no weights of ImageNet .*local"),
        (KeyError("Wrong pretrained weights"), "there are no weights of ImageNet .*local"),
    ],
)
def test_imagenet_that_cannot_be_had_is_an_error_with_the_cure(monkeypatch, error, message):
    real = library.made

    def made(architecture, name, *, pretrained, **options):
        if pretrained:
            raise error
        return real(architecture, name, pretrained=False, **options)

    monkeypatch.setattr(networks.library, "made", made)
    monkeypatch.setattr(hub, "_unreachable", lambda endpoint: None)
    with pytest.raises(ConfigError, match=message):
        built(weights="imagenet")


def test_a_hub_that_does_not_answer_is_asked_once_and_told_in_one_line(monkeypatch, caplog, capfd):
    pytest.importorskip("huggingface_hub")
    asked = []

    def refused(question, timeout):
        asked.append(question.full_url)
        raise OSError("no route")

    monkeypatch.setattr(hub.urllib.request, "urlopen", refused)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection"))
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"a wait of {seconds} s"))
    with pytest.raises(ConfigError, match=r"cannot be downloaded \(.* does not answer: no route\)"):
        built(encoder="resnet18", weights="imagenet")
    assert len(asked) == 1
    assert not caplog.records
    assert "".join(capfd.readouterr()) == ""


def test_the_hubs_library_is_left_as_it_was(monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    logger = logging.getLogger("huggingface_hub")
    monkeypatch.setattr(hub, "_unreachable", lambda endpoint: "no route")
    before = constants.HF_HUB_OFFLINE, logger.level
    with hub.hub_at_hand():
        assert (constants.HF_HUB_OFFLINE, logger.level) == (True, logging.ERROR)
    assert (constants.HF_HUB_OFFLINE, logger.level) == before


def test_a_hub_that_answers_with_an_error_is_there(monkeypatch):
    def denied(question, timeout):
        raise urllib.error.HTTPError(question.full_url, 403, "no", Message(), None)

    monkeypatch.setattr(hub.urllib.request, "urlopen", denied)
    assert hub._unreachable("https://hub.example") is None


def test_without_weights_nothing_is_fetched(monkeypatch):
    library_of_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection"))
    monkeypatch.setattr(
        library_of_hub, "hf_hub_download", lambda *_, **__: pytest.fail("a download")
    )
    assert built(4)
    assert built(4, encoder=SMALL)
