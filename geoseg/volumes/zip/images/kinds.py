"""Which format an image is of, by the end of its name."""

from __future__ import annotations

from geoseg.errors import SourceError
from geoseg.volumes.metadata import ImageAxes
from geoseg.volumes.zip.archive import Archive, Member
from geoseg.volumes.zip.images.base import ImageFile
from geoseg.volumes.zip.images.npy import NpyImage, npz_image
from geoseg.volumes.zip.names import nearest

SUFFIXES = (".npy", ".npz", ".tif", ".tiff", ".nii", ".nii.gz")
"""Ends of the names of images, in lower case."""


def image_file(
    archive: Archive, *, folder: str, name: object, image_axes: ImageAxes, where: str
) -> ImageFile:
    """The image of a name.

    Args:
        archive: The zip.
        folder: That of the images, with a slash at its end, or empty.
        name: As a row tells it: a bare file name.
        image_axes: Axes of stored arrays.
        where: What an error about the name begins with.

    Raises:
        SourceError: There is no such image, or it is of a kind that is not read.
    """
    if not isinstance(name, str) or not name:
        raise SourceError(f"{where}: names no image; expected a file name")
    if "/" in name or "\\" in name or name in (".", ".."):
        raise SourceError(
            f"{where}: names a path, expected a bare file name; the folder of the images is {folder!r}"
        )
    member = archive.find(folder + name)
    if member is None:
        near = nearest(folder + name, archive.names)
        hint = f"did you mean {near!r}?" if near else "see `folder`"
        raise SourceError(f"{where}: there is no member {folder + name!r} in the zip; {hint}")
    return image_of_member(archive.member(member), image_axes)


def image_of_member(member: Member, image_axes: ImageAxes) -> ImageFile:
    """The image that a member is, by the end of its name.

    Raises:
        SourceError: It is of a kind that is not read.
    """
    name = member.where.lower()
    if name.endswith(".npy"):
        return NpyImage(member, image_axes)
    if name.endswith(".npz"):
        return npz_image(member, image_axes)
    if name.endswith((".tif", ".tiff")):
        from geoseg.volumes.zip.images.tiff import TiffImage

        return TiffImage(member)
    if name.endswith((".nii", ".nii.gz")):
        from geoseg.volumes.zip.images.nifti import NiftiImage

        return NiftiImage(member, image_axes)
    raise SourceError(
        f"{member.where}: is of a kind that is not read, expected a name that ends in {', '.join(SUFFIXES)}"
    )
