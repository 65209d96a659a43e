"""Labels that a peer can't make up: as many as there are routes, methods and statuses."""

from __future__ import annotations

from typing import Any, Final

#: Source: RFC 9110 section 9.3, RFC 5789.
_METHODS: Final = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"))
#: The method of a request that nobody has a route for. No method is in lower case.
OTHER_METHOD: Final = "other"
#: The route of requests that none answers. Every path begins with a slash.
UNMATCHED: Final = "unmatched"
#: The route of an application that has one handler for everything, and one that tells no path.
ANY_PATH: Final = "*"
#: The status of an answer that was cut off, or that nobody was there to read.
ABORTED: Final = "aborted"


class RouteLabels:
    """Finds the label of the route that answers a request."""

    def __init__(self) -> None:
        self._labels: dict[Any, str] = {}

    def find(self, request: Any) -> str:
        """Find the pattern of the route: ``/users/{id}``, or ``/static/*`` for all that is below a prefix."""
        match = request.match_info
        if match is None:
            return UNMATCHED if request.app.handler is None else ANY_PATH
        if match.http_exception is not None:
            return UNMATCHED
        label = self._labels.get(match.route)
        if label is None:
            label = self._labels[match.route] = _make_label(match.get_info())
        return label


def _make_label(info: dict[str, Any]) -> str:
    if "prefix" in info:
        return f"{info['prefix']}/*"
    path = info.get("formatter", info.get("path"))
    return ANY_PATH if path is None else str(path) or "/"


def find_method(request: Any) -> str:
    """Find the label of a request's method, when its route is known or not."""
    method: str = request.method
    if method in _METHODS:
        return method
    match = request.match_info
    is_known = match is not None and getattr(match.route, "method", None) == method
    return method if is_known else OTHER_METHOD
