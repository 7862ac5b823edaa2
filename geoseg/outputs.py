"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from geoseg.errors import ConfigError, StoreError


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


def refuse_inputs(outputs: Iterable[str], inputs: Iterable[str]) -> None:
    """See that no output would replace a file that is read.

    Raises:
        ConfigError: One would.
    """
    read = {os.path.realpath(uri): uri for uri in inputs}
    for uri in outputs:
        if os.path.realpath(uri) in read or any(_same(uri, other) for other in read):
            raise ConfigError(
                f"{uri}: is read as an input too and would be overwritten; write to another place"
            )


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
        StoreError: The folder cannot be made or written, or `uri` is a folder or no local path.
    """
    target = local_path(uri)
    if target.is_dir():
        raise StoreError(f"{uri}: is a folder, expected the path of a file; add a file name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise StoreError(
            f"{uri}: nothing can be written to the folder {target.parent.absolute()}: "
            f"{error.strerror}; choose another place or change its permissions"
        ) from error
    process = os.getpid()
    try:
        yield folder / target.name
        try:
            (folder / target.name).replace(target)
        except OSError as error:
            raise StoreError(f"{uri}: cannot be replaced: {error.strerror}; remove it") from error
    finally:
        if os.getpid() == process:  # a forked child must not tidy up for its parent
            shutil.rmtree(folder, ignore_errors=True)
