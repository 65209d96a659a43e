"""Applications inside applications for corelet; public names are in ``corelet.web``."""

from __future__ import annotations

from .domain_resource import MatchedSubAppResource
from .prefix_resource import PrefixedSubAppResource

__all__ = ["MatchedSubAppResource", "PrefixedSubAppResource"]
