"""Routes that go their own way: marks on handlers, which are looked for once, when the application freezes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from corelet import web
from corelet.abc import Handler

from .media_type import DEFAULT_MEDIA_TYPES
from .policy import MINIMUM_SIZE, Options, Policy

_H = TypeVar("_H", bound=Callable[..., Any])

#: The attribute of a marked handler: a Policy, or None for no compression.
_MARK: Final = "corelet_compression_policy"
_IS_MARKED: Final = web.RequestKey("is_marked", bool)


def compressed(
    *,
    codings: Iterable[str] | None = None,
    levels: Mapping[str, int] | None = None,
    minimum_size: int = MINIMUM_SIZE,
    media_types: Iterable[str] = DEFAULT_MEDIA_TYPES,
    require_acceptable: bool = False,
    max_random_bytes: int = 0,
) -> Callable[[_H], _H]:
    """Compress the answers of one handler, with options of its own, whether or not the application compresses.

    A decorator for handlers and class-based views; the arguments are those of :func:`compression_middleware`.
    """
    policy = Policy(Options(codings, levels, minimum_size, media_types, require_acceptable, max_random_bytes))

    def mark(handler: _H) -> _H:
        setattr(handler, _MARK, policy)
        return handler

    return mark


def uncompressed(handler: _H) -> _H:
    """Leave the answers of one handler alone, in an application that compresses.

    A decorator for handlers and class-based views. ``response.enable_compression()`` in it still does what it says.
    """
    setattr(handler, _MARK, None)
    return handler


def has_mark(request: Any) -> bool:
    """Whether the request's handler goes its own way."""
    return request.own_data is not None and _IS_MARKED in request.own_data


def find_wrapper(handler: Any) -> Callable[[Handler], Handler] | None:
    """Find what wraps a handler by its mark; None where it has none."""
    if not hasattr(handler, _MARK):
        return None
    policy: Policy | None = getattr(handler, _MARK)

    def wrap(inner: Handler) -> Handler:
        async def answer(request: Any) -> Any:
            request[_IS_MARKED] = True
            return await (inner(request) if policy is None else policy.answer(request, inner))

        return answer

    return wrap
