"""UC Merced Land Use: aerial images of 21 classes, a folder a class."""

from __future__ import annotations

from geoseg.convert.layout import Group, Layout

UC_MERCED = Layout(
    name="uc-merced",
    title="UC Merced Land Use: aerial RGB images in class folders",
    rico=True,
    groups=(
        Group(
            name="images",
            title="class folders of images",
            flag="--dataset-dir",
            kind="file",
            pattern=r".*\d\d\.tif$",
            bands=("Red", "Green", "Blue"),
            label="{parent}",
        ),
    ),
)
