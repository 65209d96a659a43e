"""The request that an answer belongs to, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy

from corelet import hdrs

if TYPE_CHECKING:
    from yarl import URL

#: Fields that are not shown: errors get into logs, and requests with them.
_SECRETS: Final = (hdrs.AUTHORIZATION, hdrs.PROXY_AUTHORIZATION, hdrs.COOKIE)


class RequestInfo(NamedTuple):
    """A request as it was sent."""

    #: The URL without its fragment.
    url: URL
    method: str
    headers: CIMultiDictProxy[str]
    #: The URL with its fragment.
    real_url: URL

    def __repr__(self) -> str:
        shown = CIMultiDict(self.headers)
        for name in _SECRETS:
            if name in shown:
                shown[name] = "***"
        return (
            f"{type(self).__name__}(url={self.url!r}, method={self.method!r}, headers={CIMultiDictProxy(shown)!r}, "
            f"real_url={self.real_url!r})"
        )
