"""Decode the bodies of requests, within limits."""

from __future__ import annotations

from typing import Any, Final

from corelet import DecodedSizeError, DecodedStreamReader, web
from corelet.abc import ContentCoding, Handler, Middleware

#: Bytes of content for each coded byte, once 1 MiB is decoded. Apache's DeflateInflateRatioLimit; deflate can reach
#: 1,032, and br and zstd any number.
MAX_RATIO: Final = 200
_ALIASES: Final = {"x-gzip": "gzip"}


def decompression_middleware(*, max_size: int | None = None, max_ratio: int = MAX_RATIO) -> Middleware:
    """Make a middleware that decodes the bodies of requests by their Content-Encoding.

    Handlers read the content as if it had come plain, by ``read()``, ``json()``, ``post()`` or ``request.content``; it
    is decoded bit by bit as they do, and not at all where they don't. The fields stay as they came: ``content_length``
    is of the coded body.

    Of two around one handler, say of an application and of one in it, the outer one decodes.

    A body over a limit ends in 413, one that is damaged or cut short in 400. A coding that is not registered, or more
    than one, is a 415 that names those that are.

    Args:
        max_size: bytes after decoding; default the request's ``client_max_size``, 0 for no limit. ``read()`` holds to
            ``client_max_size`` anyway.
        max_ratio: bytes after decoding for each byte before, default 200; 0 for no limit. It counts from 1 MiB on.

    Raises:
        ValueError: a limit below 0.

    Source: RFC 9110 sections 8.4, 12.5.3 and 15.5.16.
    """
    for name, limit in (("max_size", max_size), ("max_ratio", max_ratio)):
        if limit is not None and limit < 0:
            raise ValueError(f"{name} is {limit}, expected a number from 0, which is no limit")

    async def decompress(request: Any, handler: Handler) -> Any:
        if request.body_exists:
            coding = _find_coding(request)
            # One around the other, for an application and a part of it, decodes once.
            if coding is not None and not isinstance(request.content, DecodedStreamReader):
                limit = request.client_max_size if max_size is None else max_size
                request.content = DecodedStreamReader(
                    request.content, coding, max_bytes=limit, max_ratio=max_ratio, make_error=_make_error
                )
        return await handler(request)

    return decompress


def _find_coding(request: Any) -> ContentCoding | None:
    fields = request.headers.getall("Content-Encoding", ())
    names = [name.strip().lower() for field in fields for name in field.split(",")]
    names = [_ALIASES.get(name, name) for name in names if name not in ("", "identity")]
    if not names:
        return None
    codings = request.connection.codings
    # One around the other multiplies what few bytes can do, and nobody needs it.
    if len(names) > 1 or names[0] not in codings:
        raise web.HTTPUnsupportedMediaType(
            text="the body is coded in a way that is not understood here",
            headers={"Accept-Encoding": ", ".join(codings) or "identity"},
        )
    coding: ContentCoding = codings[names[0]]
    return coding


def _make_error(error: Exception) -> Exception:
    if isinstance(error, DecodedSizeError):
        return web.HTTPRequestEntityTooLarge(error.limit, error.size)
    return web.HTTPBadRequest(text="the body can't be decoded by its Content-Encoding")
