"""What is wrong in an experiment's file: one sentence a place, whatever pydantic has tried."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from geoseg.cli.told import lines_of
from geoseg.experiment import Experiment
from geoseg.labels.base import LabelSource

TEXT = """
classes: [dark, Bright]
train:
  - {id: a, image: a.tif, labels: {type: raster, source: a_ids.tif}}
output: out
"""


def told(change):
    with pytest.raises((ValidationError, ValueError)) as caught:
        Experiment.from_yaml(TEXT, changes=[change])
    return lines_of(caught.value, "exp.yaml")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("train=[]", "train: got an empty list, expected a list of 1 or more"),
        ("train=a.tif", "train: got 'a.tif', expected a list"),
        (
            "train=[a.tif]",
            "train.0: got 'a.tif', expected the keys and values of a scene: id, image, labels",
        ),
        ("output=null", "output: is missing"),
        (
            "train.0.labels.mapping={1: dark, 2: 7}",
            (
                "train: scene 'a': mapping leads to the ids [7], which are no classes; expected ids of 0 dark, "
                "1 Bright, or 255 for ignored"
            ),
        ),
        (
            "train.0.labels.mapping={1: bright}",
            (
                "train: scene 'a': mapping: 'bright' is no class; expected one of 0 dark, 1 Bright, by name or "
                "id, or 255 for ignored"
            ),
        ),
        (
            "train={glob: '*.tif', labels: {type: raster, source: '{1}.tif'}}",
            (
                'train.labels: under `glob` labels are the name of a file, such as labels: "tiles/{1}_mask.tif", '
                "with `mapping` or `class_by` beside it; for other options of labels list the scenes one by one, "
                "each with its labels, and for other files of each scene use a `table`"
            ),
        ),
        ("classes=dark", "classes: got 'dark', expected a list of names, or keys and values"),
        ("training=fast", "training: got 'fast', expected keys and values"),
        (
            "training.class_weights=invers",
            (
                "training.class_weights: got 'invers', expected 'none', 'inverse', 'sqrt', 'median' or 'effective'; "
                "did you mean 'inverse'?"
            ),
        ),
        (
            "training.class_weights=3",
            "training.class_weights: got 3, expected 'none', 'inverse', 'sqrt', 'median' or 'effective' or a list",
        ),
        (
            "training.class_weights=[-1, 2]",
            "training.class_weights.0: got -1, expected at least 0",
        ),
        ("training.class_weights=[1, x]", "training.class_weights.1: got 'x', expected a number"),
        (
            "training.logger=tensorbord",
            (
                "training.logger: got 'tensorbord', expected 'csv', 'tensorboard', 'mlflow' or 'wandb'; did you mean "
                "'tensorboard'?"
            ),
        ),
        (
            "training.schedule=Cosin",
            (
                "training.schedule: got 'Cosin', expected 'onecycle', 'cosine', 'plateau' or 'constant'; did you mean "
                "'cosine'?"
            ),
        ),
        (
            "training.optimizer=adam",
            "training.optimizer: got 'adam', expected 'adamw' or 'sgd'; did you mean 'adamw'?",
        ),
        (
            "training.precision=32",
            "training.precision: got 32, expected '32', '16-mixed' or 'bf16-mixed'; put it in quotes: '32'",
        ),
        ("training.size=0", "training.size: got 0, expected at least 1"),
        ("training.size=large", "training.size: got 'large', expected a whole number or a list"),
        (
            "training.size=[1,2,3]",
            (
                "training: size is (1, 2, 3), but the model 'unet' takes images: (height, width), or one "
                'number; for volumes use model "unet3d"'
            ),
        ),
        (
            "training.size=[1,2,3,4]",
            "training.size: got [1, 2, 3, 4], expected a list of at most 2 or a list of at most 3",
        ),
        ("training.lr=-1", "training.lr: got -1, expected more than 0"),
        (
            "training.model_options={width: {a: 1}}",
            "training.model_options.width: got {'a': 1}, expected a number, text, true or false or a list",
        ),
        (
            "training.sampling.class_balance=balance",
            "training.sampling.class_balance: got 'balance', expected 'balanced'; did you mean 'balanced'?",
        ),
        (
            "prediction.blend=han",
            (
                "prediction.blend: got 'han', expected 'center', 'mean', 'linear', 'hann' or 'gaussian'; did you mean "
                "'hann'?"
            ),
        ),
        (
            "train.0.reference=images",
            "train.0.reference: got 'images', expected 'image' or 'labels'; did you mean 'image'?",
        ),
        (
            "train.0.aoi=3",
            "train.0.aoi: got 3, expected the name of a file, or keys and values with a `type`",
        ),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence_with_what_is_near(change, line):
    assert told(change) == [f"exp.yaml: {line}"]


def test_a_wrong_type_is_told_with_the_kinds_that_are_known():
    kinds = ", ".join(sorted(LabelSource.kinds))  # those of other tests among them
    assert told("train.0.labels.type=rastr") == [
        f"exp.yaml: train.0.labels: type is 'rastr', expected one of: {kinds}; did you mean 'raster'?"
    ]


@pytest.mark.parametrize(
    ("change", "told_of"),
    [
        ("training.model=unt", "did you mean 'unet'?"),
        ("training.model=unt/resnet34", "did you mean 'unet/resnet34'?"),
        ("training.loss=dise", "did you mean 'dice'?"),
        ("training.augmentation=[d4, roate]", "did you mean 'rotate'?"),
        ("training.augmentation=[{type: roate}]", "training.augmentation.0: type is 'roate'"),
    ],
)
def test_a_wrong_name_is_told_in_one_line(change, told_of):
    (line,) = told(change)
    assert told_of in line
    assert "Input should" not in line
    assert "or: " not in line


def test_a_long_value_is_cut():
    (line,) = told(f"training.epochs={'x' * 500}")
    assert len(line) < 150
