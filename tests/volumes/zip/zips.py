"""Zips made by hand: zipfile and pyarrow, and the documented encoder."""

import io
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.volumes.rle.documented import documented_encoder

SHAPE = 4, 6, 9
"""(depth, height, width) of `box` and `ramp`."""


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def ramp(shape=SHAPE, dtype=np.uint16):
    """A volume (depth, height, width) in which no two voxels are alike."""
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def box(shape=SHAPE):
    """A mask (depth, height, width) of another length along each axis."""
    mask = np.zeros(shape, bool)
    mask[1:3, 2:5, 1:7] = True
    return mask


def text(mask, rle_order="dhw"):
    """As the documented encoder writes a (depth, height, width) array, or a (height, width, depth) one."""
    return documented_encoder(mask if rle_order == "dhw" else mask.transpose(1, 2, 0))


def frame(
    images,
    masks=None,
    *,
    classes=("a", "b"),
    metadata=None,
    groups=None,
    compression="snappy",
    **columns,
):
    """Bytes of a Parquet file; masks are lists of texts."""
    data = {"image": pa.array(images, pa.string())}
    if masks is not None:
        lists = pa.list_(pa.string())
        data["class_id"] = pa.array([list(classes)] * len(images), lists)
        data["rle_mask"] = pa.array(masks, lists)
    data |= columns
    table = pa.table({key: value for key, value in data.items() if value is not None})
    buffer = io.BytesIO()
    if metadata is not None:
        table = table.replace_schema_metadata(metadata.to_schema())
    pq.write_table(table, buffer, row_group_size=groups, compression=compression)
    return buffer.getvalue()


def write(path, members, packed=False):
    """A zip of {name: bytes}."""
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", how) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return str(path)


def plain(path, image=None, texts=None, packed=False, name="v.npy", **more):
    """A zip of one labelled volume of the classes a and b, stored as (height, width, depth)."""
    image = npy(ramp().transpose(1, 2, 0)) if image is None else image
    texts = [text(box()), ""] if texts is None else texts
    members = {"train.pq": frame([name], [texts]), f"images/{name}": image, **more}
    return write(path, members, packed)
