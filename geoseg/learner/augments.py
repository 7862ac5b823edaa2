"""Changes to training batches as they are written down: kinds with their options; no torch.

What each does to pixels is in `geoseg.learner.augment`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from geoseg.errors import ConfigError
from geoseg.learner.choices import chosen
from geoseg.spec import AlsoWritten, Tagged

if TYPE_CHECKING:
    import torch

    from geoseg.learner.augment.batch import Batch
    from geoseg.learner.augment.resample import Move


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"the lower end {pair[0]:g} comes first, then the higher, got {pair[1]:g}")
    return pair


Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, or a probability."""
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Degrees = Annotated[float, Field(allow_inf_nan=False)]
Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Augment(Tagged):
    """A change to training batches; called with a batch and a `torch.Generator` it gives a new batch.

    A kind of your own defines `change`, and may then be named in YAML like the others.
    """

    p: Share = 1.0
    """Probability that a chip is changed."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch with some of its chips changed; equal states of the generator give equal batches."""
        from geoseg.learner.augment.batch import on_some

        return on_some(self.change, batch, generator, p=self.p)

    @abstractmethod
    def change(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change every chip.

        Args:
            batch: The "image", "mask" and "valid" of the chips that were drawn; not to be written into.
            generator: A generator on the CPU, the only source of chance.

        Returns:
            A new batch with the same keys, shapes and dtypes.
        """


class Geometric(Augment):
    """A change of where pixels are.

    Neighbours in a list are joined to one resampling, so that pixels are blended only once.
    """

    @abstractmethod
    def move(self, count: int, size: tuple[int, int], generator: torch.Generator) -> Move:
        """Draw where the pixels of some chips come from.

        Args:
            count: Chips.
            size: (height, width) of them in pixels.
            generator: A generator on the CPU, the only source of chance.

        Returns:
            See `geoseg.learner.augment.resample`.
        """

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch with some of its chips moved."""
        from geoseg.learner.augment.resample import warped

        return warped(batch, (self,), generator)

    def change(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Move every chip."""
        from geoseg.learner.augment.resample import warped

        return warped(batch, (self.model_copy(update={"p": 1.0}),), generator)


class Photometric(Augment):
    """A change of the values of valid pixels; it needs float images."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch with the values of some of its chips changed.

        Raises:
            ConfigError: The images are not floats.
        """
        from geoseg.learner.augment.batch import refuse_integers

        refuse_integers(batch, name=type(self).model_fields["type"].default)
        return super().__call__(batch, generator)


class D4(Augment):
    """One of the eight turns and mirrors of the square, all equally likely; no pixel is blended.

    Of the four that keep the shape where height and width differ.
    """

    type: Literal["d4"] = "d4"

    def change(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Turn and mirror every chip."""
        from geoseg.learner.augment.turns import d4

        return d4(batch, generator)


class Rotate(Geometric):
    """A rotation about the centre of the chip."""

    type: Literal["rotate"] = "rotate"
    p: Share = 0.5
    """Probability that a chip is changed."""
    degrees: Annotated[tuple[Degrees, Degrees], AfterValidator(_rising)] = (-180, 180)
    """Lowest and highest angle, counter-clockwise."""

    def move(self, count: int, size: tuple[int, int], generator: torch.Generator) -> Move:
        """Draw an angle for each chip."""
        from geoseg.learner.augment.moves import rotation, uniform

        return rotation(uniform(self.degrees, count, generator), size=size)


class Zoom(Geometric):
    """A part of the chip enlarged to its size, or the chip made smaller with nothing around it.

    Both sides by the same factor; where the part lies, or the smaller chip, is drawn.
    """

    type: Literal["zoom"] = "zoom"
    p: Share = 0.5
    """Probability that a chip is changed."""
    scale: Annotated[tuple[Scale, Scale], AfterValidator(_rising)] = (0.8, 1.25)
    """Smallest and largest size of what is seen, 2 for twice as large; half and double are equally
    likely."""

    def move(self, count: int, size: tuple[int, int], generator: torch.Generator) -> Move:
        """Draw a scale and a place for each chip."""
        from geoseg.learner.augment.moves import log_uniform, place, zoom

        scale = log_uniform(self.scale, count, generator)
        return zoom(scale, place(count, generator), size=size)


class Elastic(Geometric):
    """A smooth deformation: nodes of a coarse grid are shifted at random, pixels between follow."""

    type: Literal["elastic"] = "elastic"
    p: Share = 0.5
    """Probability that a chip is changed."""
    shift: Amount = 12.0
    """Largest shift along rows and along columns, in pixels; a third of it is common."""
    cell: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 48.0
    """Pixels between nodes."""

    @model_validator(mode="after")
    def _never_folded(self) -> Self:
        # Choi and Lee (2000), Injectivity conditions of 2D and 3D uniform cubic B-spline functions:
        # below 0.48 of the cell no two pixels change places.
        if self.shift > 0.48 * self.cell:
            raise ValueError(
                f"a shift of {self.shift:g} pixels folds a grid with a cell of {self.cell:g}; at most "
                f"{0.48 * self.cell:g}, or a larger cell"
            )
        return self

    def move(self, count: int, size: tuple[int, int], generator: torch.Generator) -> Move:
        """Draw the shifts of the nodes for each chip."""
        from geoseg.learner.augment.moves import elastic

        return elastic(count, generator, size=size, shift=self.shift, cell=self.cell)


class Light(Photometric):
    """Brightness and contrast, all bands alike, measured by each band's own spread in the chip."""

    type: Literal["light"] = "light"
    brightness: Amount = 0.2
    """Largest shift, in standard deviations of the chip."""
    contrast: Share = 0.2
    """Largest change of the contrast, as a part of it."""

    def change(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change the light of every chip."""
        from geoseg.learner.augment.tones import relit

        return relit(
            batch,
            generator,
            brightness=self.brightness,
            contrast=self.contrast,
            per_band=False,
        )


class Brightness(Photometric):
    """Brightness and contrast, each band by itself, measured by its own spread in the chip."""

    type: Literal["brightness"] = "brightness"
    p: Share = 0.5
    """Probability that a chip is changed."""
    brightness: Amount = 0.1
    """Largest shift, in standard deviations of the chip."""
    contrast: Share = 0.1
    """Largest change of the contrast, as a part of it."""

    def change(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change the light of every band of every chip."""
        from geoseg.learner.augment.tones import relit

        return relit(
            batch,
            generator,
            brightness=self.brightness,
            contrast=self.contrast,
            per_band=True,
        )


class Noise(Photometric):
    """Normal noise, each pixel and band by itself."""

    type: Literal["noise"] = "noise"
    p: Share = 0.5
    """Probability that a chip is changed."""
    amount: Amount = 0.1
    """Largest deviation of the noise, in standard deviations of the band in the chip; that of each chip
    is drawn below it."""

    def change(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Add noise to every chip."""
        from geoseg.learner.augment.tones import noisy

        return noisy(batch, generator, amount=self.amount)


class BandDropout(Photometric):
    """Some bands become 0, the mean of normalised images; at least one band stays."""

    type: Literal["band_dropout"] = "band_dropout"
    p: Share = 0.5
    """Probability that a chip is changed."""
    share: Share = 0.2
    """Probability that a band of such a chip is dropped."""

    def change(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Drop bands of every chip."""
        from geoseg.learner.augment.tones import bands_dropped

        return bands_dropped(batch, generator, share=self.share)


class CutMix(Augment):
    """A rectangle of the chip is that of another chip of the batch: image, mask and valid together.

    A batch of one chip stays as it is. Source: Yun et al. (2019), CutMix.
    """

    type: Literal["cutmix"] = "cutmix"
    p: Share = 0.5
    """Probability that a chip is changed."""
    share: Annotated[tuple[Share, Share], AfterValidator(_rising)] = (0.1, 0.5)
    """Smallest and largest part of the chip's area that is another's."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch with some chips mixed, each with any other one of the whole batch."""
        from geoseg.learner.augment.mixing import cutmix

        return cutmix(batch, generator, share=self.share, p=self.p)

    def change(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Mix every chip with another one."""
        from geoseg.learner.augment.mixing import cutmix

        return cutmix(batch, generator, share=self.share, p=1.0)


def named(text: str) -> tuple[Augment, ...]:
    """The kinds that a text names, with their default options.

    >>> [type(augment).__name__ for augment in named("d4+light")]
    ['D4', 'Light']

    Args:
        text: "none", or names with a plus sign between, applied in this order.

    Raises:
        ConfigError: There is no augmentation of a name; the text tells the nearest one.
    """
    names = [name.strip() for name in text.split("+")]
    if names == ["none"]:
        return ()
    if "none" in names:
        raise ConfigError(f"augmentation {text!r}: 'none' stands alone; leave it out")
    known = {"none": Augment, **Augment.kinds}
    found: list[Augment] = []
    for name in names:
        kind: Any = chosen("augmentation", name, known)
        found.append(kind())
    return tuple(found)


def _default_of(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    chosen("augmentation", value, Augment.kinds)
    return {"type": value}


AugmentField = Annotated[Augment, BeforeValidator(_default_of), AlsoWritten({"type": "string"})]
"""A field of this family: plain text is the kind of that name with its default options."""
