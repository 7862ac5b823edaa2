r"""How a data set lies on disk, as a description: what is a patch, how it is named, which bands it has.

The next data set is a few lines. One image a patch, the class in the folder's name:

>>> cities = Layout(
...     name="cities",
...     title="Roofs of cities",
...     groups=(
...         Group(
...             name="images",
...             flag="--dataset-dir",
...             kind="file",
...             pattern=r"roof_\d+\.tif$",
...             key="{parent}_{stem}",
...             bands=("Red", "Green", "Blue"),
...             label="{parent}",
...         ),
...     ),
... )

One folder a patch with a file a band: `kind="folder"` and `file="{name}_{band}.tif"`.
"""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import PrivateAttr, field_validator, model_validator

from geoseg.convert.patch import Patch, within
from geoseg.convert.templates import PATH_FIELDS, compiled, fields_of, stem_of
from geoseg.errors import ConfigError
from geoseg.spec import Spec, Uri

MASK = "mask"
"""The name of the tensor of a mask file."""

_TWO_MASKS = (
    f"a band cannot be called {MASK!r} beside a mask file, whose tensor has that name; name the bands otherwise "
    "(--bands)"
)
_ENDING = re.compile(r"\.([\w?]+)(?:\$|\\Z)?$")
"""Of a template or an expression; it may leave a letter free, as `jpe?g` does."""

_BAND = "\0"
"""Stands for a band, and in no path."""

FileBands = tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
"""((path, ((tensor, band in the file from 1), ...)), ...)"""


class Group(Spec):
    """One kind of source of a data set: a folder that the user names, and what is a patch in it.

    Fields of templates: `name`, `stem`, `parent`, `grandparent` of the patch's folder or file, and every
    named group of `pattern`.
    """

    name: str
    """Its name among the groups: `s1`, `s2`, `map`, `images`, ..."""
    flag: str
    """How it is given on the command line."""
    aliases: tuple[str, ...] = ()
    """Other spellings of the flag."""
    title: str = ""
    """What it is, for help texts."""
    kind: Literal["folder", "file", "files"]
    """What a patch is: a folder, one file, or several files (one a band) told apart by `pattern`."""
    pattern: str = ""
    """What is searched for in the base name (smart case, see `geoseg.convert.templates`); empty takes all."""
    on: Literal["name", "path"] = "name"
    """Whether `pattern` is searched for in the base name or in the whole path relative to the source."""
    depth: int | None = None
    """How many levels below the source patches lie, children being 1; None is any."""
    key: str = "{stem}"
    """A template."""
    bands: tuple[str, ...]
    """Names of the tensors in the order of the manifest; in one file, those of its bands from the first on."""
    more_bands: bool = False
    """Whether files may have more bands than are named, which are left out; else that is an error."""
    file: str | None = None
    """Folders and several files: a template of a file within the patch's folder, with `{name}`, `{key}` and
    `{band}`; without `{band}` one file has all bands."""
    sample: str = "{key}"
    """A template, which may use `{key}`: the same for patches of different groups that show the same."""
    sample_if_unique: bool = False
    """Whether `sample` holds only where no group has it twice; the others have `sample_else`."""
    sample_else: str = "{key}"
    """A template for these, of the path's fields and `{key}`."""
    split: str | None = None
    """A template of the part of the data set."""
    label: str | None = None
    """A template of the class of the whole patch; with `{parent}` none where the source itself is the parent."""
    mask: str | None = None
    """Of a file: the pattern of its mask's path relative to the source, with a group named `key`."""
    table: Uri | None = None
    """A CSV or Parquet file with a patch a row, instead of a search; see `geoseg.convert.finding.tables`."""

    _like: str | None = PrivateAttr(None)

    @field_validator("pattern", "mask")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            compiled(pattern or "")
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.kind == "file") != (self.file is None):
            raise ValueError(f"`file` names files within a folder; kind is {self.kind!r}")
        if self.kind == "files" and not self.has_file_of_band:
            raise ValueError("several files a patch are told apart by `{band}` in `file`")
        if len(set(self.bands)) < len(self.bands):
            raise ValueError(f"bands have names of their own, got {self.bands}")
        if self.mask is not None and MASK in self.bands:
            raise ValueError(_TWO_MASKS)
        if self.depth is not None and self.depth < 1:
            raise ValueError(f"depth counts from 1 (children of the source), got {self.depth}")
        self._check_fields()
        return self

    def _check_fields(self) -> None:
        known = PATH_FIELDS | compiled(self.pattern).groupindex.keys()
        allowed = {
            "key": known,
            "sample": known | {"key"},
            "sample_else": PATH_FIELDS | {"key"},
            "split": known,
            "label": known,
            "file": {"name", "stem", "key", "band"},
        }
        for field, names in allowed.items():
            if strange := sorted(set(fields_of(getattr(self, field) or "")) - names):
                raise ValueError(
                    f"{field} has the unknown field {strange[0]!r}; known: {', '.join(sorted(names))}"
                )

    def files(self, patch: Patch) -> FileBands:
        """The files of a patch and what is in them: ((path, ((tensor, band from 1), ...)), ...).

        Nothing is looked up: files that are missing are named, too. The mask comes last.

        Raises:
            ConfigError: The bands are not known; `geoseg.convert.layouts.generic.settled` finds them. Or one has
                the name of the mask's tensor, and there is a mask.
        """
        if patch.mask is not None and MASK in self.bands:
            raise ConfigError(f"{patch.describe()}: {_TWO_MASKS}")
        if not self.bands:
            raise ConfigError(
                f"group {self.name!r} names no bands; give them, or have them read from the first patch with "
                "geoseg.convert.layouts.generic.settled(layout, patches)"
            )
        images: FileBands
        if self.has_file_of_band:
            template = within(patch.full_path, self.file_name(patch, band=_BAND))
            images = tuple((template.replace(_BAND, band), ((band, 1),)) for band in self.bands)
        else:
            numbered = tuple((band, number) for number, band in enumerate(self.bands, 1))
            images = ((self._file_of_all(patch), numbered),)
        return images if patch.mask is None else (*images, (_mask_path(patch), ((MASK, 1),)))

    def paths(self, patch: Patch) -> tuple[str, ...]:
        """The paths of `files`; for one file of all bands also where the bands are not known."""
        if self.bands or self.has_file_of_band:
            return tuple(path for path, _ in self.files(patch))
        image = self._file_of_all(patch)
        return (image,) if patch.mask is None else (image, _mask_path(patch))

    @property
    def like(self) -> str | None:
        """The file whose bands these are, where nobody named them: all others are to have as many."""
        return self._like

    def with_bands(self, bands: tuple[str, ...], *, like: str | None = None) -> Group:
        """The group with other bands; `like` is the file that has them, no part of what is saved.

        Raises:
            ConfigError: One has the name of the mask's tensor, and there are masks.
        """
        if self.mask is not None and MASK in bands:
            raise ConfigError(f"{like or self.name}: {_TWO_MASKS}")
        group = self.model_copy(update={"bands": bands})
        group._like = like  # noqa: SLF001 - of its own class
        return group

    @property
    def ending(self) -> str:
        """That of images, such as `.tif`, in small letters; empty where the pattern or template leaves it free."""
        return _ending(self.file or self.pattern)

    @property
    def mask_ending(self) -> str:
        """As `ending`, of masks."""
        return _ending(self.mask or "")

    @property
    def has_file_of_band(self) -> bool:
        """Whether each band has its own file."""
        return self.file is not None and "band" in fields_of(self.file)

    def _file_of_all(self, patch: Patch) -> str:
        return (
            patch.full_path if self.file is None else within(patch.full_path, self.file_name(patch))
        )

    def file_name(self, patch: Patch, *, band: str = "") -> str:
        """The name of a file within the folder of a patch, of a band where each has its file."""
        name = patch.path.rsplit("/", 1)[-1]
        fields = {"name": name, "stem": stem_of(name), "key": patch.key, "band": band}
        return (self.file or "").format_map(fields)


def _ending(text: str) -> str:
    match = _ENDING.search(text)
    return f".{match[1].replace('?', '').lower()}" if match else ""


def _mask_path(patch: Patch) -> str:
    return within(patch.root, patch.mask or "")


class Layout(Spec):
    """A data set: its groups, in the order in which they are written."""

    name: str
    """As on the command line."""
    title: str
    """For help texts."""
    groups: tuple[Group, ...]
    rico: bool = False
    """Whether rico-hdl knows it: keys and names of tensors are then the same as there."""
    metadata: Literal["bigearthnet"] | None = None
    """The kind of table that pairs patches and has their splits and labels, where there is one."""

    @model_validator(mode="after")
    def _has_groups(self) -> Self:
        names = [group.name for group in self.groups]
        flags = [flag for group in self.groups for flag in (group.flag, *group.aliases)]
        if not names or len(set(names)) < len(names) or len(set(flags)) < len(flags):
            raise ValueError(
                f"a layout has groups with names and flags of their own, got {names}, {flags}"
            )
        return self

    def group(self, name: str) -> Group:
        """The group of this name.

        Raises:
            ConfigError: There is none.
        """
        for group in self.groups:
            if group.name == name:
                return group
        known = ", ".join(group.name for group in self.groups)
        raise ConfigError(f"layout {self.name!r} has no group {name!r}; its groups: {known}")
