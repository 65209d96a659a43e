"""A middleware that leads to a path's normal form: one slash for several, with or without one at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from yarl import URL

from corelet.abc import Handler, Middleware
from corelet.web import HTTPMove, HTTPPermanentRedirect

from .pattern import requote

_SLASHES: Final = re.compile("//+")


def normalize_path_middleware(
    *,
    append_slash: bool = True,
    remove_slash: bool = False,
    merge_slashes: bool = True,
    redirect_class: type[HTTPMove] = HTTPPermanentRedirect,
) -> Middleware:
    """Make a middleware that redirects where no route has a path, to the nearest path that has one.

    These are tried in turn, as far as they are switched on: the slashes merged; one slash appended, or all removed, at
    the end; both. The query stays. A redirect leads to this host always: no Location starts with two slashes.

    Args:
        append_slash: try the path with a slash at the end.
        remove_slash: try the path without slashes at the end.
        merge_slashes: try the path with one slash in place of several.
        redirect_class: what is raised; 308 by default, which keeps method and body.

    Raises:
        ValueError: both ``append_slash`` and ``remove_slash``, which contradict each other.

    Source: RFC 9110 section 15.4; RFC 3986 section 4.2 for the two slashes.
    """
    if append_slash and remove_slash:
        raise ValueError("append_slash and remove_slash contradict each other: switch one off")

    def find_forms(path: str) -> Iterator[str]:
        merged = _SLASHES.sub("/", path) if merge_slashes else path
        yield merged
        for form in (path, merged):
            if append_slash and not form.endswith("/"):
                yield form + "/"
            if remove_slash and form.endswith("/"):
                yield form.rstrip("/") or "/"

    async def normalize(request: Any, handler: Handler) -> Any:
        if request.match_info.http_exception is None:
            return await handler(request)
        for form in find_forms(request.match_path):
            path = requote(form)
            if path == request.match_path or path.startswith("//"):
                continue
            url = URL.build(path=path, query_string=request.rel_url.raw_query_string, encoded=True)
            if await _is_answered(request, url):
                raise redirect_class(url)
        return await handler(request)

    return normalize


async def _is_answered(request: Any, url: URL) -> bool:
    match_info = await request.app.router.resolve(_Elsewhere(request, url))
    return match_info.http_exception is None


class _Elsewhere:
    """A request as routers see it, at another URL. Unlike a clone it may share a body that has been read."""

    def __init__(self, request: Any, url: URL) -> None:
        self._request = request
        self.rel_url = url
        self.match_path = url.raw_path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)
