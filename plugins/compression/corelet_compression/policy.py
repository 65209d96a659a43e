"""Decide for each answer whether it is coded, and by what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from corelet import web
from corelet.abc import ContentCoding, Handler

from .media_type import DEFAULT_MEDIA_TYPES, make_matcher
from .zlib_coding import PaddedGzipCoding

#: Bytes under which coding saves no packet to speak of. Starlette's GZipMiddleware.
MINIMUM_SIZE: Final = 500
_ONLY_IDENTITY: Final = ("identity",)
_Response: Final = web.Response
#: Codings of the plugin, the dearest first.
DEFAULT_CODINGS: Final = ("zstd", "br", "gzip", "deflate")
#: Digests are of the bytes as they are sent. Source: RFC 9530 section 2.
_DIGEST_FIELDS: Final = ("Content-Digest", "Content-MD5", "Digest")


@dataclass(frozen=True, slots=True)
class Options:
    """What ``compression_middleware`` and ``compressed`` take; they document it."""

    codings: Iterable[str] | None = None
    levels: Mapping[str, int] | None = None
    minimum_size: int = MINIMUM_SIZE
    media_types: Iterable[str] = DEFAULT_MEDIA_TYPES
    require_acceptable: bool = False
    max_random_bytes: int = 0


class Policy:
    """Code the answers of requests that it is asked to watch.

    Raises:
        ValueError: an option that makes no sense.
    """

    def __init__(self, options: Options) -> None:
        self._codings = None if options.codings is None else tuple(options.codings)
        self._levels = dict(options.levels or {})
        self._minimum_size = options.minimum_size
        self._matches: Callable[[str], bool] = make_matcher(options.media_types)
        self._require_acceptable = options.require_acceptable
        self._padded = PaddedGzipCoding(options.max_random_bytes) if options.max_random_bytes else None
        # One object, found again at once among the hooks of a request.
        self._hook = self.prepare
        # What a server has registered, and what is offered of it.
        self._registered: Mapping[str, ContentCoding] | None = None
        self._offered: tuple[str, ...] = ()
        if options.minimum_size < 0 or options.max_random_bytes < 0:
            raise ValueError("minimum_size and max_random_bytes are numbers of bytes, from 0")
        if self._padded is not None and "gzip" not in (self._codings or DEFAULT_CODINGS):
            raise ValueError(
                f"max_random_bytes needs gzip, which codings doesn't have: {', '.join(self._codings or ())}"
            )

    async def answer(self, request: Any, handler: Handler) -> Any:
        """Run a handler and code its answer: at once, or when the handler prepares it."""
        if self._require_acceptable and request.choose_coding((*self._offer(request), "identity")) is None:
            raise web.HTTPNotAcceptable(text="none of the content codings in Accept-Encoding can be had")
        hook = self._hook
        request.add_prepare_hook(hook)
        response = await handler(request)
        if isinstance(response, _Response) and not response.prepared:
            request.remove_prepare_hook(hook)
            body = response.body
            # Most answers are small: they are seen to be before anything else is looked at.
            is_small = type(body) is bytes and 0 < len(body) < self._minimum_size
            if not is_small or request.choose_coding(_ONLY_IDENTITY) is None:
                self._apply(request, response)
        return response

    async def prepare(self, request: Any, response: Any) -> None:
        """Code an answer whose head is about to be made."""
        self._apply(request, response)

    def _apply(self, request: Any, response: web.StreamResponse) -> None:
        # What wasn't modified has no body, and says of the one that the peer has by what it varies.
        if response.compression or (response.status != 304 and self._is_too_small(request, response)):
            return
        headers = response.headers
        if not self._may_be_coded(request, response.status, headers):
            return
        _add_vary(headers)
        name = request.choose_coding((*self._offer(request), "identity"))
        if name is None or name == "identity":
            return
        padded = self._padded
        response.enable_compression(name if padded is None else padded, level=self._levels.get(name))

    def _is_too_small(self, request: Any, response: web.StreamResponse) -> bool:
        """Whether it isn't worth while; an answer that the peer takes only coded always is."""
        body = response.body if isinstance(response, _Response) else None
        size = len(body) if type(body) is bytes else response.content_length
        if size is None or size >= self._minimum_size:
            return False
        return not size or request.choose_coding(_ONLY_IDENTITY) is not None

    def _may_be_coded(self, request: Any, status: int, headers: Mapping[str, str]) -> bool:
        if status < 200 or status == 206 or "Content-Encoding" in headers or "Content-Range" in headers:
            return False
        if status != 304 and not self._matches(headers.get("Content-Type", "")):
            return False
        if _forbids_coding(headers) or _forbids_coding(request.headers):
            return False
        return not any(name in headers for name in _DIGEST_FIELDS)

    def _offer(self, request: Any) -> tuple[str, ...]:
        registered = request.connection.codings
        if registered is not self._registered:
            self._offered = self._find_offered(registered)
            self._registered = registered
        return self._offered

    def _find_offered(self, registered: Mapping[str, ContentCoding]) -> tuple[str, ...]:
        for name in self._levels:
            if name not in registered and name not in DEFAULT_CODINGS:
                raise LookupError(
                    f"content coding {name!r} in levels of compression_middleware is not there, "
                    f"known: {', '.join(registered)}"
                )
        if self._padded is not None:
            return ("gzip",)
        if self._codings is None:
            return tuple(registered)
        for name in self._codings:
            if name not in registered:
                raise LookupError(
                    f"content coding {name!r} of compression_middleware is not there, known: {', '.join(registered)}; "
                    f"for br and zstd pip install corelet-compression[br,zstd]"
                )
        return self._codings


def _forbids_coding(headers: Any) -> bool:
    """Whether Cache-Control says ``no-transform``. Source: RFC 9111 sections 5.2.1.6 and 5.2.2.6."""
    return any("no-transform" in field.lower() for field in headers.getall("Cache-Control", ()))


def _add_vary(headers: Any) -> None:
    """Say that the answer follows from Accept-Encoding, also where it isn't coded. Source: RFC 9110 section 12.5.5."""
    fields = ", ".join(headers.getall("Vary", ()))
    names = {name.strip().lower() for name in fields.split(",")}
    if not names & {"accept-encoding", "*"}:
        headers["Vary"] = f"{fields}, Accept-Encoding" if fields else "Accept-Encoding"
