"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from geoseg.drafts import draft_folder, note_names, old_name, remove_leftovers
from geoseg.errors import ConfigError, StoreError

_NAME_BYTES = 255
"""The longest name where the file system does not tell."""
_BESIDE_BYTES = 16
"""What names of hidden folders, and of what libraries write in them, have more at most."""


def local_path(uri: str) -> Path:
    """The path of an output.

    Raises:
        StoreError: It is no local path: only there can a file be renamed when it is whole.
    """
    if "://" in uri or uri.startswith("/vsi"):
        raise StoreError(
            f"{uri}: outputs are written to local paths only; write to a local file and copy it there"
        )
    return Path(uri)


def check_names(uris: Iterable[str]) -> tuple[Path, ...]:
    """See, before any work, that outputs are named as files can be.

    Returns:
        Their paths.

    Raises:
        StoreError: A name is empty, that of a folder, too long for the file system, or no local path.
    """
    return tuple(_checked_name(uri) for uri in uris)


def _checked_name(uri: str) -> Path:
    path = local_path(uri)
    if not uri or "\0" in uri:
        raise StoreError(
            f"{uri!r}: is no name of a file to write; give it one, such as out/map.tif"
        )
    try:
        folder = uri.endswith(("/", os.sep)) or path.name in ("", "..") or path.is_dir()
    except OSError:  # so long that nothing can be there
        folder = False
    if folder:
        raise StoreError(f"{uri}: is a folder, expected the path of a file; add a file name")
    length, longest = len(os.fsencode(path.name)), _longest_name(path.parent)
    if length > longest:
        raise StoreError(
            f"{path.name[:40]}...: this name of an output has {length} bytes, expected at most {longest}, "
            "so that there is room for the names of hidden files beside it; choose a shorter one"
        )
    return path


def _longest_name(folder: Path) -> int:
    """Bytes that the name of an output may have, drafts beside it being longer."""
    while not os.access(folder, os.F_OK) and folder != folder.parent:
        folder = folder.parent
    try:
        return os.pathconf(folder, "PC_NAME_MAX") - _BESIDE_BYTES
    except (AttributeError, OSError, ValueError):  # Windows has none
        return _NAME_BYTES - _BESIDE_BYTES


def refuse_inputs(outputs: Iterable[str], inputs: Iterable[str]) -> None:
    """See that no output would replace a file that is read.

    Raises:
        ConfigError: One would.
    """
    read = {_real(uri): uri for uri in inputs}
    for uri in outputs:
        if _real(uri) in read or any(_same(uri, other) for other in read):
            raise ConfigError(
                f"{uri}: is read as an input too and would be overwritten; write to another place"
            )


def _real(uri: str) -> str:
    """The path behind links; what is no path stays as it is."""
    try:
        return os.path.realpath(uri)
    except ValueError:
        return uri


def _same(uri: str, other: str) -> bool:
    """Whether two names are links to one file."""
    try:
        return os.path.samefile(uri, other)  # noqa: PTH121 - uris are text
    except (OSError, ValueError):
        return False


@contextmanager
def written_whole(uri: str) -> Iterator[Path]:
    """A path to write to; it takes the name `uri` when the block ends without any exception.

    The path lies in a hidden folder beside the target, which is removed in any case with all that was
    put there. A file under the final name stays as it is until it is replaced. Missing parent folders
    are made.

    Raises:
        StoreError: The folder cannot be made or written, or `uri` cannot be the name of a file.
    """
    with written_together((uri,)) as (path,):
        yield path


@contextmanager
def written_together(uris: Sequence[str]) -> Iterator[tuple[Path, ...]]:
    """Paths to write to, as `written_whole` gives one; all take their names when the block ends.

    They take them one after another, in the order given: no file system renames several files at once.
    Where one cannot, those before it are taken back and what had their names has them again. Only a
    process that is killed between two of them leaves new files beside old ones, each of them whole,
    until any of them is written again.

    Args:
        uris: Files of one folder.

    Raises:
        StoreError: As of `written_whole`, for any of them.
    """
    targets = check_names(uris)
    first = targets[0]
    remove_leftovers(targets)
    with ExitStack() as stack:
        try:
            first.parent.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(draft_folder(targets))
        except OSError as error:
            raise StoreError(
                f"{uris[0]}: nothing can be written to the folder {first.parent.absolute()}: "
                f"{error.strerror}; choose another place or change its permissions"
            ) from error
        yield tuple(folder / target.name for target in targets)
        _name_all(folder, targets)


def _name_all(folder: Path, targets: Sequence[Path]) -> None:
    """Give files of a folder their final names, all of them or none."""
    tried: list[tuple[Path, Path | None]] = []
    whole = False
    if len(targets) > 1:
        note_names(folder, targets)
    try:
        for target in targets:
            try:
                if len(targets) > 1:  # one is replaced or not
                    tried.append((target, _kept(target, folder)))
                (folder / target.name).replace(target)
            except OSError as error:
                raise StoreError(
                    f"{target}: cannot be replaced: {error.strerror}; remove it"
                ) from error
        whole = True
    finally:
        for target, old in reversed([] if whole else tried):
            target.unlink(missing_ok=True) if old is None else old.replace(target)


def _kept(target: Path, folder: Path) -> Path | None:
    """A second name for the file that is to be replaced; None where there is none."""
    if not target.exists():
        return None
    old = folder / old_name(target.name)
    try:
        old.hardlink_to(target)  # the target keeps its name
    except OSError:
        target.rename(old)  # a file system without links
    return old
