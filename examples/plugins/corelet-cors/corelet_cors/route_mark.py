"""Handlers with a policy of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from .policy import CorsPolicy

_H = TypeVar("_H", bound=Callable[..., Any])

#: The attribute of a marked handler: a CorsPolicy, or None for no page of another origin.
_MARK: Final = "corelet_cors_policy"


def cors(policy: CorsPolicy | None) -> Callable[[_H], _H]:
    """Give a handler a policy of its own, whether or not its application has one.

    A decorator for handlers and class-based views.

    Args:
        policy: the policy; None for no page of another origin.
    """

    def mark(handler: _H) -> _H:
        setattr(handler, _MARK, policy)
        return handler

    return mark


def has_mark(route: Any) -> bool:
    """Whether a route's handler is marked."""
    return hasattr(getattr(route, "handler", None), _MARK)


def get_marked_policy(route: Any) -> CorsPolicy | None:
    """Give the policy that a handler is marked by."""
    policy: CorsPolicy | None = getattr(route.handler, _MARK)
    return policy
