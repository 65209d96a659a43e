"""What a router asks of a request, without a server."""

from __future__ import annotations

from typing import Any, NamedTuple

from corelet_routing import UrlDispatcher, UrlMappingMatchInfo


class Asked(NamedTuple):
    """A request as a router sees it."""

    method: str
    match_path: str


async def answer(request: Any) -> Any:
    """Stand for a handler."""


def resolve(router: UrlDispatcher, path: str, method: str = "GET") -> UrlMappingMatchInfo:
    """Resolve without a loop: nothing here waits."""
    try:
        router.resolve(Asked(method, path)).send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a lookup waited")
