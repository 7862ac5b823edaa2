"""Losses against torch, segmentation-models-pytorch and plain numpy on the kept pixels alone."""

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from geoseg.errors import ConfigError, LabelError
from geoseg.learner import losses

ONES = ["cross_entropy", "dice", "focal", "lovasz", "tversky"]
NAMES = [*ONES, "cross_entropy+dice", "focal+0.5*lovasz"]


@pytest.fixture
def batch():
    """Logits of 4 classes of which the last never occurs, with ignored and not valid pixels."""
    return a_batch(seed=3)


def a_batch(seed, classes=4, shape=(3, 5, 7), dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    size = (shape[0], classes, *shape[1:])
    logits = torch.randn(size, generator=generator, dtype=dtype, requires_grad=True)
    target = torch.randint(max(classes - 1, 1), shape, generator=generator)
    target[0, :2] = 255
    valid = torch.rand(shape, generator=generator) > 0.3
    return logits, target, valid


def kept_pixels(logits, target, valid, ignore_index=255):
    kept = valid & (target != ignore_index)
    return logits.movedim(1, -1)[kept], target[kept]


def as_numpy(batch):
    """(pixel, class) probabilities and (pixel,) truth."""
    scores, truth = (part.detach().numpy() for part in kept_pixels(*batch))
    powers = np.exp(scores.astype("float64"))
    return powers / powers.sum(axis=1, keepdims=True), truth


def plain_tversky(batch, alpha, beta, smooth):
    p, truth = as_numpy(batch)
    missed = []
    for c in np.unique(truth):
        t = truth == c
        right, false, lost = p[t, c].sum(), p[~t, c].sum(), (1 - p[t, c]).sum()
        missed.append(1 - (right + smooth) / (right + alpha * false + beta * lost + smooth))
    return float(np.mean(missed))


def plain_lovasz(batch):
    """By its definition: 1 - IoU of growing sets of wrong pixels, weighted by the errors' differences."""
    p, truth = as_numpy(batch)
    found = []
    for c in np.unique(truth):
        is_class = truth == c
        errors = np.where(is_class, 1 - p[:, c], p[:, c])
        order = np.argsort(-errors)
        drops = errors[order] - np.append(errors[order], 0)[1:]
        wrong, total = np.zeros(len(errors), bool), 0.0
        for place, drop in zip(order, drops, strict=True):
            wrong[place] = True
            predicted = is_class ^ wrong
            total += drop * (1 - (predicted & is_class).sum() / (predicted | is_class).sum())
        found.append(total)
    return float(np.mean(found))


# --- cross entropy


def test_cross_entropy_is_that_of_torch_on_the_kept_pixels(batch):
    loss = losses.build("cross_entropy")(*batch)
    torch.testing.assert_close(loss, functional.cross_entropy(*kept_pixels(*batch)))


def test_cross_entropy_has_the_gradient_of_torch_on_the_kept_pixels(batch):
    logits = batch[0]
    (got,) = torch.autograd.grad(losses.build("cross_entropy")(*batch), logits)
    (want,) = torch.autograd.grad(functional.cross_entropy(*kept_pixels(*batch)), logits)
    torch.testing.assert_close(got, want)


def test_class_weights_mean_what_they_mean_in_torch(batch):
    weights = [0.5, 2.0, 0.0, 1.0]
    loss = losses.build("cross_entropy", class_weights=weights)(*batch)
    want = functional.cross_entropy(*kept_pixels(*batch), weight=torch.tensor(weights))
    torch.testing.assert_close(loss, want)


# --- focal


@pytest.mark.parametrize("gamma", [0.5, 1, 2, 3.5])
def test_focal_is_its_formula_over_the_kept_pixels(batch, gamma):
    p, truth = as_numpy(batch)
    own = p[np.arange(len(truth)), truth]
    weights = np.array([0.5, 2.0, 0.25, 1.0])
    want = np.mean(-weights[truth] * (1 - own) ** gamma * np.log(own))
    loss = losses.build("focal", gamma=gamma, class_weights=weights)(*batch)
    assert loss.item() == pytest.approx(want, rel=1e-5)


def test_focal_of_hand_made_probabilities():
    # p of the own class: 0.8 and 0.5; ((0.2 ** 2) (-ln 0.8) + (0.5 ** 2) (-ln 0.5)) / 2
    logits = torch.tensor([[0.8, 0.5], [0.2, 0.5]]).log()[None, :, None]
    loss = losses.build("focal")(logits, torch.tensor([[[0, 1]]]), torch.ones(1, 1, 2, dtype=bool))
    want = (0.04 * -math.log(0.8) + 0.25 * -math.log(0.5)) / 2
    assert loss.item() == pytest.approx(want, rel=1e-6)


def test_focal_without_gamma_is_cross_entropy(batch):
    loss = losses.build("focal", gamma=0)(*batch)
    torch.testing.assert_close(loss, losses.build("cross_entropy")(*batch))


@pytest.mark.parametrize("gamma", [0, 0.01, 0.5, 1, 2])
def test_focal_has_a_gradient_where_a_pixel_is_certain(gamma):
    logits = torch.tensor([[200.0, -200.0], [0.0, 0.0]])[None, :, None].requires_grad_()
    target, valid = torch.zeros(1, 1, 2, dtype=torch.int64), torch.ones(1, 1, 2, dtype=bool)
    (gradient,) = torch.autograd.grad(
        losses.build("focal", gamma=gamma)(logits, target, valid), logits
    )
    assert gradient[0, :, 0, 0].tolist() == [0, 0]
    assert gradient[0, :, 0, 1].tolist() == pytest.approx([-0.5, 0.5])


# --- Dice and Tversky


@pytest.mark.parametrize("smooth", [0.0, 1.0, 10.0])
def test_dice_is_pooled_over_the_batch_and_over_classes_that_occur(batch, smooth):
    loss = losses.build("dice", smooth=smooth)(*batch)
    want = plain_tversky(batch, alpha=0.5, beta=0.5, smooth=smooth / 2)
    assert loss.item() == pytest.approx(want, rel=1e-5)


def test_dice_of_hand_made_probabilities():
    # class 0: 1 - (2 * 0.8 + 1) / (1.3 + 1 + 1); class 1: 1 - (2 * 0.5 + 1) / (0.7 + 1 + 1)
    logits = torch.tensor([[0.8, 0.5], [0.2, 0.5]]).log()[None, :, None]
    loss = losses.build("dice")(logits, torch.tensor([[[0, 1]]]), torch.ones(1, 1, 2, dtype=bool))
    assert loss.item() == pytest.approx(((1 - 2.6 / 3.3) + (1 - 2 / 2.7)) / 2, rel=1e-6)


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (1, 1), (1, 0), (0, 1)])
@pytest.mark.parametrize("smooth", [0.0, 2.5])
def test_tversky_is_its_formula_pooled_over_the_batch(batch, alpha, beta, smooth):
    loss = losses.build("tversky", alpha=alpha, beta=beta, smooth=smooth)(*batch)
    assert loss.item() == pytest.approx(plain_tversky(batch, alpha, beta, smooth), rel=1e-5)


def test_tversky_by_itself_punishes_what_is_missed_more(batch):
    torch.testing.assert_close(
        losses.build("tversky")(*batch), losses.build("tversky", alpha=0.3, beta=0.7)(*batch)
    )


@pytest.mark.parametrize("name", ["dice", "lovasz", "tversky", "focal"])
def test_a_perfect_prediction_has_no_loss(batch, name):
    _, target, valid = batch
    logits = functional.one_hot(target.clamp(max=3), 4).movedim(-1, 1) * 100.0
    assert losses.build(name)(logits, target, valid).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("options", [{"alpha": 1, "beta": 0}, {"alpha": 0, "beta": 1}, {}])
def test_a_class_without_any_probability_left_costs_one_whole_class(options):
    logits = torch.tensor([[500.0, 500.0], [-500.0, -500.0]])[None, :, None].requires_grad_()
    target, valid = torch.tensor([[[1, 1]]]), torch.ones(1, 1, 2, dtype=bool)
    loss = losses.build("tversky", smooth=0, **options)(logits, target, valid)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 1
    assert gradient.isfinite().all()


# --- Lovasz


@pytest.mark.parametrize("seed", range(4))
def test_lovasz_is_its_definition(seed):
    batch = a_batch(seed)
    assert losses.build("lovasz")(*batch).item() == pytest.approx(plain_lovasz(batch), rel=1e-5)


def test_lovasz_of_hand_made_probabilities():
    # Errors of both classes: 0.5 for the second pixel, 0.2 for the first. Class 0 has the first pixel:
    # 0.5 * (1 - 1/2) + 0.2 * (1/2 - 0); class 1 has the second: 0.5 * (1 - 0) + 0.2 * (0 - 0).
    logits = torch.tensor([[0.8, 0.5], [0.2, 0.5]]).log()[None, :, None]
    loss = losses.build("lovasz")(logits, torch.tensor([[[0, 1]]]), torch.ones(1, 1, 2, dtype=bool))
    assert loss.item() == pytest.approx((0.35 + 0.5) / 2, rel=1e-6)


def test_lovasz_of_certain_predictions_is_one_minus_the_mean_iou(batch):
    _, target, valid = batch
    generator = torch.Generator().manual_seed(8)
    predicted = torch.randint(3, target.shape, generator=generator)
    logits = functional.one_hot(predicted, 4).movedim(-1, 1) * 100.0
    kept = valid & (target != 255)
    t, p = target[kept].numpy(), predicted[kept].numpy()
    iou = [((t == c) & (p == c)).sum() / ((t == c) | (p == c)).sum() for c in range(3)]
    assert losses.build("lovasz")(logits, target, valid).item() == pytest.approx(1 - np.mean(iou))


def test_lovasz_keeps_its_gradient_among_many_pixels():
    # Here neighbouring steps of 1 - IoU differ by a few float32 roundings; the oracle is in float64.
    count = 1 << 17
    logits = torch.zeros(1, 2, 1, count)
    logits[0, 1] = torch.linspace(-3, -2, count)
    target = torch.zeros(1, 1, count, dtype=torch.int64)
    target[..., : count // 2] = 1
    logits = logits.requires_grad_()
    loss = losses.build("lovasz")(logits, target, torch.ones_like(target, dtype=bool))
    (gradient,) = torch.autograd.grad(loss, logits)
    p, truth = as_numpy((logits, target, torch.ones_like(target, dtype=bool)))
    want = np.zeros(count)
    for c, side in ((0, -1), (1, 1)):
        is_class = truth == c
        errors = np.where(is_class, 1 - p[:, c], p[:, c])
        order = np.argsort(-errors, kind="stable")
        turned = is_class[order]
        ratio = 1 - (turned.sum() - turned.cumsum()) / (turned.sum() + (~turned).cumsum())
        slopes = np.empty(count)
        slopes[order] = np.diff(ratio, prepend=0)
        want += 0.5 * side * np.where(is_class, -1, 1) * slopes * p[:, 0] * p[:, 1]
    np.testing.assert_allclose(gradient[0, 1, 0].numpy(), want, rtol=1e-4, atol=1e-12)


# --- sums


def test_a_sum_is_the_sum_and_gives_each_loss_its_options(batch):
    weights = (1.0, 2.0, 3.0, 4.0)
    both = losses.build("cross_entropy + 0.25*dice", class_weights=weights, smooth=5.0)(*batch)
    apart = losses.build("cross_entropy", class_weights=weights)(*batch)
    apart = apart + losses.build("dice", smooth=5.0)(*batch) / 4
    torch.testing.assert_close(both, apart)


def test_a_factor_may_stand_before_a_single_loss(batch):
    torch.testing.assert_close(losses.build("3*lovasz")(*batch), 3 * losses.build("lovasz")(*batch))


# --- what all share


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spoilt", [1000.0, math.nan, math.inf, -math.inf])
def test_pixels_that_are_not_kept_change_nothing(batch, name, spoilt):
    logits, target, valid = batch
    kept = valid & (target != 255)
    (clean,) = torch.autograd.grad(loss := losses.build(name)(*batch), logits)
    spoilt = torch.where(kept[:, None], logits, spoilt).detach().requires_grad_()
    hidden = torch.where(valid, target, 77)
    again = losses.build(name)(spoilt, hidden, valid)
    (gradient,) = torch.autograd.grad(again, spoilt)
    assert torch.equal(again, loss)
    assert torch.equal(gradient, clean)
    assert not gradient.movedim(1, -1)[~kept].any()
    assert gradient.movedim(1, -1)[kept].any()


@pytest.mark.parametrize("name", NAMES)
def test_another_ignore_index_is_one_of_the_options(batch, name):
    logits, target, valid = batch
    loss = losses.build(name, ignore_index=2)
    expected = losses.build(name)(logits, torch.where(target == 2, 255, target), valid)
    target = torch.where(target == 255, 2, target)
    torch.testing.assert_close(loss(logits, target, valid), expected)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in NAMES),
        ("cross_entropy", {"class_weights": [0.0] * 4}),
        ("focal", {"class_weights": [0.0] * 4, "gamma": 0.5}),
        ("dice+tversky", {"smooth": 0.0}),
    ],
)
@pytest.mark.parametrize("reason", ["ignored", "not valid"])
def test_nothing_kept_gives_zero_with_a_zero_gradient(batch, name, options, reason):
    logits, target, valid = batch
    if reason == "ignored":
        target = torch.full_like(target, 255)
    else:
        valid = torch.zeros_like(valid)
    logits = torch.full_like(logits, math.nan).requires_grad_()
    loss = losses.build(name, **options)(logits, target, valid)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0
    assert torch.equal(gradient, torch.zeros_like(logits))


def test_classes_that_weigh_nothing_give_zero_with_a_zero_gradient(batch):
    for name in ("cross_entropy", "focal"):
        loss = losses.build(name, class_weights=[0, 0, 0, 1])(*batch)
        (gradient,) = torch.autograd.grad(loss, batch[0])
        assert loss.item() == 0
        assert not gradient.any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("autocast", [True, False])
def test_half_precision_is_computed_in_float32(batch, name, dtype, autocast):
    logits, target, valid = batch
    half = (logits.detach() * 5).to(dtype)
    with torch.autocast("cpu", dtype, enabled=autocast):
        loss = losses.build(name)(half, target, valid)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, losses.build(name)(half.float(), target, valid))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factor", [60000.0, 1e30])
def test_large_logits_do_not_overflow(batch, name, factor):
    logits, target, valid = batch
    large = (logits.sign() * factor).detach().requires_grad_()
    loss = losses.build(name)(large, target, valid)
    (gradient,) = torch.autograd.grad(loss, large)
    assert loss.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [1, 2, 3, 40])
def test_every_number_of_classes_will_do(name, classes):
    batch = a_batch(5, classes=classes)
    loss = losses.build(name)(*batch)
    (gradient,) = torch.autograd.grad(loss, batch[0])
    assert gradient.isfinite().all()
    # With one class, or one that alone occurs and is certain, nothing can be wrong.
    assert (loss.item() == 0) == (classes == 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [1, 2, 4])
def test_the_gradient_is_that_of_small_differences(name, classes):
    logits, target, valid = a_batch(11, classes=classes, shape=(2, 3, 3), dtype=torch.float64)
    loss = losses.build(name)
    assert loss(logits, target, valid).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda x: loss(x, target, valid), (logits,))


@pytest.mark.parametrize("name", NAMES)
def test_a_step_against_the_gradient_lowers_the_loss(batch, name):
    logits, target, valid = batch
    loss = losses.build(name)(*batch)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert losses.build(name)(logits - 0.1 * gradient, target, valid) < loss


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(seed=st.integers(0, 1 << 16), classes=st.integers(1, 5))
def test_where_a_pixel_lies_in_the_batch_is_all_the_same(name, seed, classes):
    logits, target, valid = (part.detach() for part in a_batch(seed, classes, shape=(4, 3, 2)))
    loss = losses.build(name)(logits, target, valid)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(seed))

    def moved(part):
        """As one chip of 1 x 24 px, shuffled."""
        return part.flatten()[order].view(1, 1, 24)

    shuffled = logits.movedim(1, 0).flatten(1)[:, order].view(1, classes, 1, 24)
    again = losses.build(name)(shuffled, moved(target), moved(valid))
    torch.testing.assert_close(again, loss, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(seed=st.integers(0, 1 << 16))
def test_the_numbering_of_classes_is_all_the_same(name, seed):
    logits, target, valid = (part.detach() for part in a_batch(seed))
    order = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    renumbered = torch.where(target == 255, 255, order.argsort()[target.clamp(max=3)])
    again = losses.build(name)(logits[:, order], renumbered, valid)
    torch.testing.assert_close(again, losses.build(name)(logits, target, valid))


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
@settings(max_examples=20)
@given(seed=st.integers(0, 1 << 16), at=st.integers(1, 2))
def test_means_over_pixels_join_by_their_pixels(name, seed, at):
    logits, target, valid = (part.detach() for part in a_batch(seed))
    parts = [
        (loss := losses.build(name))(logits[part], target[part], valid[part])
        * (valid[part] & (target[part] != 255)).sum()
        for part in (slice(at), slice(at, None))
    ]
    whole = loss(logits, target, valid) * (valid & (target != 255)).sum()
    torch.testing.assert_close(sum(parts), whole)


@pytest.mark.parametrize("name", ["dice", "tversky", "lovasz"])
@settings(max_examples=20)
@given(seed=st.integers(0, 1 << 16))
def test_a_batch_twice_over_has_the_loss_of_the_batch(name, seed):
    batch = [part.detach() for part in a_batch(seed)]
    options = {} if name == "lovasz" else {"smooth": 0}
    loss = losses.build(name, **options)
    torch.testing.assert_close(loss(*(torch.cat([part, part]) for part in batch)), loss(*batch))


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_can_be_sent_to_another_process(batch, name):
    loss = losses.build(name)
    assert torch.equal(pickle.loads(pickle.dumps(loss))(*batch), loss(*batch))


# --- against segmentation-models-pytorch


@pytest.fixture
def smp_losses():
    return pytest.importorskip("segmentation_models_pytorch").losses


@pytest.fixture
def all_occur():
    """A batch that is valid everywhere, with every class and some ignored pixels."""
    logits, target, valid = a_batch(21)
    target = torch.where(target == 255, 255, (target + (valid & (target == 0)) * 3))
    return logits, target, torch.ones_like(valid)


def test_dice_is_that_of_smp_where_every_class_occurs(all_occur, smp_losses):
    # smp 0.6 adds `smooth` to half of what we add it to, smp 0.4 to the same.
    logits, target, _ = all_occur
    want = smp_losses.DiceLoss("multiclass", ignore_index=255)(logits, target)
    torch.testing.assert_close(losses.build("dice", smooth=0)(*all_occur), want)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0])
def test_tversky_is_that_of_smp_where_every_class_occurs(all_occur, smp_losses, alpha):
    logits, target, _ = all_occur
    other = smp_losses.TverskyLoss(
        "multiclass", alpha=alpha, beta=0.7, smooth=1.0, ignore_index=255
    )
    loss = losses.build("tversky", alpha=alpha, beta=0.7)
    torch.testing.assert_close(loss(*all_occur), other(logits, target))


def test_a_class_that_does_not_occur_is_left_out_and_not_a_zero_as_in_smp(batch, smp_losses):
    logits, target, _ = batch
    ours = losses.build("dice", smooth=0)(logits, target, torch.ones_like(target, dtype=bool))
    theirs = smp_losses.DiceLoss("multiclass", ignore_index=255)(logits, target)
    torch.testing.assert_close(ours * 3 / 4, theirs)


@pytest.mark.parametrize("seed", range(3))
def test_lovasz_is_that_of_smp_on_value_and_gradient(smp_losses, seed):
    logits, target, _ = batch = a_batch(seed)
    other = smp_losses.LovaszLoss("multiclass", ignore_index=255)(logits, target)
    ours = losses.build("lovasz")(logits, target, torch.ones_like(batch[2]))
    torch.testing.assert_close(ours, other)
    (got,) = torch.autograd.grad(ours, logits)
    (want,) = torch.autograd.grad(other, logits)
    torch.testing.assert_close(got, want)


def test_focal_of_two_classes_is_that_of_smp_for_one_logit(smp_losses):
    # smp's "multiclass" has a sigmoid for each class apart; only for two classes are both the same.
    logits, target, _ = a_batch(4, classes=2)
    target = torch.where(target == 255, 255, (logits[:, 0] > 0.3).long())
    other = smp_losses.FocalLoss("binary", alpha=None, gamma=2.0, ignore_index=255)
    want = other(logits[:, 1] - logits[:, 0], target)
    ours = losses.build("focal")(logits, target, torch.ones_like(target, dtype=bool))
    torch.testing.assert_close(ours, want)


# --- what is refused


def test_an_unknown_loss_lists_the_known_ones():
    known = "cross_entropy, dice, focal, lovasz, tversky"
    with pytest.raises(ConfigError, match=f"no loss 'dise'; known: {known}; did you mean 'dice'"):
        losses.build("cross_entropy+dise")


@pytest.mark.parametrize(
    ("name", "options", "known"),
    [
        ("focal", {"alpha": 0.25}, "gamma"),
        ("lovasz", {"smooth": 1}, "none"),
        ("dice+tversky", {"gamma": 1}, "alpha, beta, smooth"),
    ],
)
def test_an_option_that_no_loss_of_the_sum_knows_is_refused(name, options, known):
    with pytest.raises(ConfigError, match=f"has no option '{next(iter(options))}'; .*: {known}$"):
        losses.build(name, **options)


def test_class_weights_that_no_loss_of_the_sum_knows_are_refused():
    with pytest.raises(ConfigError, match="class weights are for cross_entropy and focal, but"):
        losses.build("dice", class_weights=[1, 2])


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_a_number_of_weights_that_is_not_that_of_the_classes_is_refused(batch, name):
    with pytest.raises(ConfigError, match="2 class weights for 4 classes"):
        losses.build(name, class_weights=[1, 2])(*batch)


@pytest.mark.parametrize(
    ("name", "option"),
    [("focal", "gamma"), ("dice", "smooth"), ("tversky", "alpha"), ("tversky", "beta")],
)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "2", True, None])
def test_an_option_that_is_no_number_of_at_least_zero_is_refused(name, option, value):
    with pytest.raises(ConfigError, match=f"{option} is .*, expected a number of at least 0"):
        losses.build(name, **{option: value})


@pytest.mark.parametrize("weights", [[1, -1], [1, math.nan], [1, "2"]])
def test_class_weights_that_are_no_numbers_of_at_least_zero_are_refused(weights):
    with pytest.raises(ConfigError, match=r"a class weight is .*, expected a number of at least 0"):
        losses.build("cross_entropy", class_weights=weights)


def test_a_rule_in_place_of_class_weights_says_how_numbers_are_made():
    with pytest.raises(ConfigError, match=r"losses\.class_weights\('median', counts\)"):
        losses.build("focal", class_weights="median")


def test_a_tversky_loss_that_nothing_costs_is_refused():
    with pytest.raises(ConfigError, match="both 0"):
        losses.build("tversky", alpha=0, beta=0)


def test_shapes_that_differ_are_refused(batch):
    logits, target, valid = batch
    with pytest.raises(
        ConfigError, match=r"logits are \(3, 4, 5, 7\), target \(3, 5, 7\) and valid"
    ):
        losses.build("dice")(logits, target, valid[:, :, :1])


@pytest.mark.parametrize("name", ONES)
@pytest.mark.parametrize("channel", [4, -1, -100])
def test_a_target_that_is_no_channel_is_refused(batch, name, channel):
    logits, target, valid = batch
    target[1, 1], valid[1, 1] = channel, True
    with pytest.raises(LabelError, match=r"the target holds .*, expected channels 0 to 3, or 255"):
        losses.build(name)(logits, target, valid)
