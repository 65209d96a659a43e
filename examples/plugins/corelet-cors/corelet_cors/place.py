"""The policies of one application, and which of them is for a request."""

from __future__ import annotations

from typing import Any, Final

from corelet import web

from .policy import CorsPolicy
from .route_mark import get_marked_policy, has_mark


class Cors:
    """The policies of an application. Made by :func:`setup_cors`.

    The narrowest one counts: that of a route, of its resource, of its handler (:func:`cors`), then that of the
    application, or of the nearest one around it that has any.

    Attributes:
        policy: what is for everything that has no policy of its own; None for nothing.
    """

    def __init__(self) -> None:
        self.policy: CorsPolicy | None = None
        self.is_set_up = False
        self._is_needed: bool | None = None
        self._targets: dict[Any, CorsPolicy | None] = {}
        self._found: dict[Any, CorsPolicy | None] = {}

    def add(self, target: web.AbstractRoute | web.AbstractResource, policy: CorsPolicy | None) -> None:
        """Give a route, or all routes of a resource, a policy of their own; None for no page of another origin.

        Raises:
            TypeError: the target is neither.
            ValueError: it has one.
        """
        if not isinstance(target, web.AbstractRoute | web.AbstractResource):
            raise TypeError(f"{target!r} is neither a route nor a resource: router.add_get() gives the one")
        if target in self._targets:
            raise ValueError(f"{target!r} has a policy already")
        self._targets[target] = policy

    def is_needed(self, app: web.Application) -> bool:
        """Whether there is anything to do in a frozen application."""
        if self._is_needed is None:
            routes = () if app.handler is not None else app.router.routes()
            self._is_needed = self.is_set_up or any(map(has_mark, routes))
        return self._is_needed

    def find(self, match: Any) -> CorsPolicy | None:
        """Find the policy for what a router has found; None for none.

        Args:
            match: an AbstractMatchInfo; None where nobody routes.
        """
        if match is None:
            return self.policy
        key = (match.apps, match.route)
        if key not in self._found:
            self._found[key] = _find_policy(match)
        return self._found[key]

    def find_own(self, target: Any) -> tuple[CorsPolicy | None] | None:
        """Find what :meth:`add` was told of a target; None where nothing."""
        return (self._targets[target],) if target in self._targets else None


CORS: Final = web.AppKey("cors", Cors)


def _find_policy(match: Any) -> CorsPolicy | None:
    places: list[Cors] = [app[CORS] for app in reversed(match.apps) if CORS in app]
    for target in (match.route, getattr(match.route, "resource", None)):
        for place in places:
            own = place.find_own(target)
            if own is not None:
                return own[0]
    if has_mark(match.route):
        return get_marked_policy(match.route)
    return next((place.policy for place in places if place.is_set_up), None)


def setup_cors(app: web.Application, policy: CorsPolicy | None = None) -> Cors:
    """Let pages of other origins ask an application, and those mounted in it that have no policies.

    Args:
        app: the application, before it starts.
        policy: for all that has no policy of its own, 404 and 405 too; None for nothing.

    Returns:
        What gives routes and resources policies of their own.

    Raises:
        RuntimeError: it has policies already, or was made without this plugin.
    """
    place = app.get(CORS)
    if place is None:
        raise RuntimeError(f"{app!r} was made without the plugin corelet-cors: is it blocked, or not in plugins=?")
    if place.is_set_up:
        raise RuntimeError(f"{app!r} has policies already: setup_cors() is called once")
    place.policy, place.is_set_up = policy, True
    return place
