"""The request that an answer belongs to, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy
    from yarl import URL


class RequestInfo(NamedTuple):
    """A request as it was sent."""

    #: The URL without its fragment.
    url: URL
    method: str
    headers: CIMultiDictProxy[str]
    #: The URL with its fragment.
    real_url: URL
