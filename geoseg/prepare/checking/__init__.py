"""Looking over windows of images and masks before anything is trained on them."""

from geoseg.prepare.checking.report import CheckReport
from geoseg.prepare.checking.verb import check

__all__ = ["CheckReport", "check"]
