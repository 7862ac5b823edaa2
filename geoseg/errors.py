"""What can go wrong, as one tree.

GeosegError
+-- ConfigError      a Spec, a YAML file or an argument is wrong          (also ValueError)
+-- GridError        grids, CRSs, bounds or windows do not fit            (also ValueError)
+-- SourceError      pixels or features cannot be read                    (also OSError)
+-- LabelError       class ids do not fit the class map                   (also ValueError)
+-- SceneError       image, labels and AOI of a scene do not fit          (also ValueError)
+-- StoreError       an output cannot be written or read back             (also OSError)
+-- LeakageError     training data touch those that judge                  (also ValueError)
+-- StaleIndexError  a window index was made of other files or settings   (also ValueError)
+-- BundleError      a model file does not fit what it is asked to do     (also ValueError)

Each text says what is wrong, where, what was got, what was expected and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class GeosegError(Exception):
    """Any error that geoseg raises on purpose."""


class ConfigError(GeosegError, ValueError):
    """A Spec, a YAML file or an argument is wrong."""


class GridError(GeosegError, ValueError):
    """Grids, CRSs, bounds or windows do not fit each other."""


class SourceError(GeosegError, OSError):
    """Pixels or features cannot be read."""


class LabelError(GeosegError, ValueError):
    """Class ids do not fit the class map."""


class SceneError(GeosegError, ValueError):
    """The image, labels and AOI of a scene do not fit each other."""


class StoreError(GeosegError, OSError):
    """An output cannot be written or read back."""


class BundleError(GeosegError, ValueError):
    """A model file does not fit what it is asked to do."""


class LeakageError(GeosegError, ValueError):
    """What a model learns from touches what it is judged by."""


class StaleIndexError(GeosegError, ValueError):
    """A window index that geoseg wrote was made of other files, or with other settings."""


@contextmanager
def errors_as(
    kind: type[GeosegError],
    what: str,
    *,
    cure: str,
    of: type[Exception] | tuple[type[Exception], ...] = OSError,
) -> Iterator[None]:
    """A block in which errors of others become one of geoseg's: what is wrong, the reason, and the cure.

    Errors of geoseg go through as they are: they may be OSErrors or ValueErrors too, but have said all.

    >>> with errors_as(StoreError, "map.tif: cannot be begun", cure="choose another place"):
    ...     raise PermissionError(13, "Permission denied", "map.tif")
    Traceback (most recent call last):
    geoseg.errors.StoreError: map.tif: cannot be begun: Permission denied; choose another place

    Args:
        kind: What is raised instead.
        what: Where, and what cannot be done.
        cure: What to do.
        of: Which errors.
    """
    try:
        yield
    except GeosegError:
        raise
    except of as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise kind(f"{what}: {reason.strip()}; {cure}") from error
