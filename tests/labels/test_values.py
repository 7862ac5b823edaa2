"""Values of any dtype to class ids, against a dict and a loop."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.labels.values import to_ids

KNOWN = {-32768: 4, -7: 0, -1: 1, 0: 2, 111: 3, 300: 5, 523: 6, 65535: 7, 70_000: 8}


@pytest.mark.parametrize("dtype", ["i1", "i2", ">i2", "u2", ">u2", "i4", "u4", "f4", "f8"])
def test_ids_of_any_dtype_are_those_of_the_table(dtype):
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype)
    limits = np.iinfo(kind) if kind.kind in "iu" else None
    fitting = [v for v in KNOWN if limits is None or limits.min <= v <= limits.max]
    data = rng.choice([*fitting, 99, 12], (7, 11)).astype(kind)
    valid = rng.random(data.shape) > 0.2
    ids, unknown = to_ids(data, valid, known=KNOWN, ignore_id=255)
    for value, known, found, strange in zip(
        data.ravel().tolist(), valid.ravel(), ids.ravel(), unknown.ravel(), strict=True
    ):
        assert strange == (known and value not in KNOWN)
        if not strange:
            assert found == (KNOWN[value] if known else 255)
