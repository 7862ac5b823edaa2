"""The kinds of findings: how bad each is, and what to do about it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The worst first."""


class Kind(NamedTuple):
    """One kind of finding."""

    severity: Severity
    title: str
    unit: str
    cure: str


KINDS: dict[str, Kind] = {
    "no-windows": Kind(
        "error",
        "The index has no windows",
        "files",
        "Make the index anew: smaller windows, masks that are not empty, or a lower least labelled share.",
    ),
    "row-unusable": Kind(
        "error",
        "Rows of the index that name no window on a mask",
        "rows",
        "Correct or remove these rows.",
    ),
    "mask-unreadable": Kind(
        "error",
        "Windows whose mask is missing or damaged",
        "windows",
        "Restore these files, or take their rows out of the index.",
    ),
    "image-unreadable": Kind(
        "error",
        "Windows whose image is missing or damaged",
        "windows",
        "Restore these files, or take their rows out of the index.",
    ),
    "grids-differ": Kind(
        "error",
        "Images that are not on the grid of their mask",
        "pairs",
        "Bring the image onto the mask's grid with geoseg prepare align, or export the pairs anew.",
    ),
    "unknown-ids": Kind(
        "error",
        "Masks with values that are neither a class nor ignored",
        "masks",
        "Name all classes, map the values to ids of classes, or declare what means no data as the masks' nodata.",
    ),
    "leakage": Kind(
        "error",
        "Windows of one part that touch or come too near another's",
        "windows",
        "Split the index anew with geoseg prepare split, with a buffer.",
    ),
    "duplicate-across-parts": Kind(
        "error",
        "Windows with the same image as a window of another part",
        "windows",
        "Keep equal images in one part, or take the repeated rows out.",
    ),
    "conflicting-labels": Kind(
        "error",
        "Windows with the same image but different labels",
        "windows",
        "Decide which mask is right and take the rows of the others out.",
    ),
    "mask-without-image": Kind(
        "error",
        "Masks under which no image pixel is valid",
        "masks",
        "Check that the image covers these masks and that its CRS and nodata are right, or take their rows out.",
    ),
    "past-mask": Kind(
        "error",
        "Windows that reach past their mask",
        "windows",
        'Correct these rows, or read the index with outside="pad", which ignores what lies outside.',
    ),
    "columns-unusable": Kind(
        "error",
        "Columns of the split that cannot be used",
        "columns",
        "Split the index anew with geoseg prepare split.",
    ),
    "no-image": Kind(
        "warning",
        "Windows without any valid image pixel",
        "windows",
        "Take these rows out: there is nothing to learn from.",
    ),
    "constant-image": Kind(
        "warning",
        "Windows whose image has one value everywhere",
        "windows",
        "Declare that value as the image's nodata if it means no data, and take these rows out.",
    ),
    "not-finite": Kind(
        "warning",
        "Windows whose image holds NaN or infinity that is not declared as nodata",
        "windows",
        "Declare NaN as the file's nodata (gdal_edit.py -a_nodata nan) if it means no data, else mend the pixels.",
    ),
    "all-ignored": Kind(
        "warning",
        "Windows without a labelled pixel",
        "windows",
        "Take these rows out, or ask geoseg prepare tile for a least labelled share.",
    ),
    "class-missing": Kind(
        "warning",
        "Classes without a pixel",
        "classes",
        "Add windows that hold these classes, or leave the classes out: no model can learn them.",
    ),
    "part-lacks-class": Kind(
        "warning",
        "Classes that a part of the split lacks",
        "classes",
        "Split with smaller blocks, with another seed or in fewer parts, or add data with these classes.",
    ),
    "part-empty": Kind(
        "warning",
        "Parts of the split without a window",
        "parts",
        "Split anew with smaller blocks, a smaller buffer or other shares, so that each part keeps windows.",
    ),
    "shift": Kind(
        "warning",
        "Labels that are displaced against the image",
        "masks",
        "Look at the pictures; if they agree, bring image and labels together with geoseg prepare align or a "
        "corrected transform.",
    ),
    "boundary-mismatch": Kind(
        "warning",
        "Boundaries of labels lie no nearer to edges of the image than by chance",
        "windows",
        "Check that masks and images belong together and to one date; classes without visible outlines may be so.",
    ),
    "duplicate-windows": Kind(
        "warning",
        "Windows that repeat another's image and labels",
        "windows",
        "Take the repeated rows out, unless they are meant to count more.",
    ),
    "duplicate-labels": Kind(
        "note",
        "Windows that repeat another's labels, pixel by pixel",
        "windows",
        "Check that no mask was copied under another name.",
    ),
    "row-repeated": Kind(
        "note",
        "Rows that repeat a window of the same mask",
        "rows",
        "Take them out, unless they are meant to count more.",
    ),
    "imbalance": Kind(
        "note",
        "Classes with less than 1 % of the labelled pixels",
        "classes",
        "Weigh the classes in the loss as suggested below, or draw windows with these classes more often.",
    ),
    "image-resampled": Kind(
        "note",
        "Masks on another grid than the image, which is resampled onto theirs",
        "masks",
        "Align once with geoseg prepare align if windows are read many times.",
    ),
    "image-unplaced": Kind(
        "note",
        "Images or masks without georeference, paired pixel by pixel",
        "pairs",
        "Make sure that both show the same ground: nothing in the files tells.",
    ),
    "ground-size": Kind(
        "note",
        "Masks whose CRS misleads about the size of pixels",
        "masks",
        "Take distances and areas on the ground, or use a projected CRS in metres, such as UTM.",
    ),
    "islands": Kind(
        "note",
        "Windows with labels of a single pixel amid others",
        "windows",
        "Sieve the masks (gdal_sieve.py) if these are noise.",
    ),
    "ragged": Kind(
        "note",
        "Windows whose boundaries are ragged, full of teeth of one pixel",
        "windows",
        "Smooth the masks (a majority filter) if this is noise of a classification.",
    ),
}
"""{code: kind}, in the order in which findings of one severity are told."""
