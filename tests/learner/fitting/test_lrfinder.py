"""The range test for a learning rate."""

from __future__ import annotations

import pytest
import torch

from geoseg.errors import ConfigError
from geoseg.learner.learner import Learner
from tests.learner.fitting.trainings import CLASSES, Plain, blobs, same, seeded, tiny


def test_the_rate_is_where_the_loss_falls_and_nothing_changes():
    network = seeded(Plain)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    learner = Learner(CLASSES, tiny(length=16), model=network)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    found = learner.find_lr([blobs(0)], steps=60)
    assert torch.equal(torch.rand(1), expected)
    assert same(network.state_dict(), before)
    assert (learner.data, learner.histogram, learner.history) == (None, None, [])
    assert found.rates[0] == pytest.approx(1e-6)
    assert list(found.rates) == sorted(found.rates)
    assert len(found.rates) == len(found.losses) <= 60
    assert 1e-5 < found.lr < 1
    assert found.lr == pytest.approx(found.rates[found.losses.index(min(found.losses))] / 10)
    assert min(found.losses) < 0.8 * found.losses[0]
    again = learner.find_lr([blobs(0)], steps=60)
    assert again == found


@pytest.mark.parametrize("wrong", [{"least": 0}, {"least": 1, "most": 0.1}, {"steps": 3}])
def test_numbers_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected 0 < least < most"):
        Learner(CLASSES, tiny()).find_lr([blobs(0)], **wrong)


class Deaf(Plain):
    """Its loss never changes."""

    def forward(self, image):
        return super().forward(image) * 0


def test_a_loss_that_falls_at_no_rate_is_told():
    with pytest.raises(ConfigError, match="falls at no learning rate"):
        Learner(CLASSES, tiny(), model=Deaf()).find_lr([blobs(0)], steps=20)
