"""The one line that compresses a whole application."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

from corelet.abc import Handler, Middleware

from .media_type import DEFAULT_MEDIA_TYPES
from .policy import MINIMUM_SIZE, Options, Policy
from .route_mark import has_mark


def compression_middleware(
    *,
    codings: Iterable[str] | None = None,
    levels: Mapping[str, int] | None = None,
    minimum_size: int = MINIMUM_SIZE,
    media_types: Iterable[str] = DEFAULT_MEDIA_TYPES,
    require_acceptable: bool = False,
    max_random_bytes: int = 0,
) -> Middleware:
    """Make a middleware that compresses answers, for the peers that accept it.

    Left alone is what has a Content-Encoding, is a part (206, Content-Range), says ``no-transform``, carries a digest
    of its bytes, is of another media type, is small, or has called ``enable_compression()`` itself. Streams are coded
    as they are written and flushed with each write, so that server-sent events stay live; large parts are coded in a
    thread. A coded answer has ``Vary: Accept-Encoding`` and a weak entity tag. Routes go their own way by
    :func:`compressed` and :func:`uncompressed`.

    BREACH: an answer that holds both a secret and what a stranger can choose, compressed together, gives the secret
    away by its length. Keep such routes out by ``uncompressed``, mask the secret in each answer, or set
    ``max_random_bytes``, which makes the attack much slower.

    Args:
        codings: names, of those that a peer likes equally the dearest first; default all that are registered: zstd, br,
            gzip, deflate, those that are installed.
        levels: how hard to try, by name of the coding; default gzip and deflate 4 of 0 to 9, br 4 of 0 to 11, zstd 3
            of 0 to 22.
        minimum_size: bytes under which a body is left alone, default 500; one of unknown length never is.
        media_types: what is worth coding, like ``text/html``, ``text/*`` or ``*/*+json``; default text of all kinds,
            JSON, XML, JavaScript, WebAssembly, and fonts and images that are not packed by themselves.
        require_acceptable: answer 406 where the peer accepts neither a coding nor ``identity``. Default False: it gets
            the answer as it is, which most such peers can read.
        max_random_bytes: add up to so many bytes to each answer, which then is gzip only; default 0, Django has 100.

    Raises:
        ValueError: an option that makes no sense.

    Source: RFC 9110 sections 8.4 and 12.5.3.
    """
    policy = Policy(Options(codings, levels, minimum_size, media_types, require_acceptable, max_random_bytes))

    def compress(request: Any, handler: Handler) -> Awaitable[Any]:
        return handler(request) if has_mark(request) else policy.answer(request, handler)

    return compress
