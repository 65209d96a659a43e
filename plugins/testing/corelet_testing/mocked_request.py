"""Requests for tests of handlers without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from multidict import CIMultiDict

from corelet import EMPTY_PAYLOAD, HttpVersion, HttpVersion11, StreamReader, web
from corelet.abc import AbstractConnection, ContentCoding, UpgradedProtocol

if TYPE_CHECKING:
    import ssl

_NOT_GIVEN: Final[Any] = object()
_DATE: Final = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: corelet\r\n"


class MockedConnection(AbstractConnection):
    """A connection to nobody: what is sent is kept in :attr:`sent`.

    Args:
        app: the application.
        transport: what ``request.transport`` is.
        client_max_size, client_max_fields: as of the application.
    """

    def __init__(self, app: Any, transport: Any, client_max_size: int, client_max_fields: int) -> None:
        self.app = app
        self.client_max_size = client_max_size
        self.client_max_fields = client_max_fields
        self.automatic_fields = _DATE
        self.keep_alive = True
        self.is_simple = False
        self.prepare_response = None
        self.sent = bytearray()
        self._transport = transport

    @property
    def transport(self) -> asyncio.Transport | None:
        """What was given as the transport."""
        transport: asyncio.Transport | None = self._transport
        return transport

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The running task; None where none runs."""
        try:
            return asyncio.current_task()
        except RuntimeError:  # no event loop
            return None

    @property
    def is_writing_paused(self) -> bool:
        """False: nobody is ever behind."""
        return False

    def send(self, data: bytes) -> None:
        """Keep what is sent."""
        self.sent += data

    def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Keep what is sent."""
        self.sent += b"".join(pieces)

    async def drain(self) -> None:
        """Return at once."""

    @property
    def codings(self) -> Mapping[str, ContentCoding]:
        """What the application's plugins have registered, once it is frozen."""
        return self.app.pipeline.codings if self._is_frozen else {}

    @property
    def _is_frozen(self) -> bool:
        return bool(getattr(self.app, "frozen", False))

    def send_continue(self) -> None:
        """Do nothing: no peer waits for it."""

    def take_over(
        self, protocol: UpgradedProtocol, on_failure: Callable[[BaseException], object] | None = None
    ) -> None:
        """Give the transport to another protocol."""
        protocol.connection_made(self._transport)

    async def wait_for_disconnection(self) -> None:
        """Wait for ever: nobody leaves."""
        await asyncio.get_running_loop().create_future()

    def _find_form_reader(self, request: Any) -> Any | None:
        readers = self.app.pipeline.form_readers if self._is_frozen else {}
        media_type = request.content_type
        return readers.get(media_type) or readers.get(f"{media_type.partition('/')[0]}/*")

    async def read_form(self, request: Any) -> Iterable[tuple[str, Any]] | None:
        """Read a body by the form reader of its media type, once the application is frozen."""
        reader = self._find_form_reader(request)
        return None if reader is None else await reader.read(request)

    def open_multipart(self, request: Any) -> Any | None:
        """Open a multipart body, once the application is frozen."""
        reader = self._find_form_reader(request)
        return None if reader is None else reader.open(request)


def make_mocked_request(
    method: str,
    path: str,
    headers: Any = None,
    *,
    match_info: Any = _NOT_GIVEN,
    version: HttpVersion = HttpVersion11,
    closing: bool = False,
    app: Any = None,
    writer: Any = _NOT_GIVEN,
    protocol: Any = _NOT_GIVEN,
    transport: Any = _NOT_GIVEN,
    payload: StreamReader = EMPTY_PAYLOAD,
    sslcontext: ssl.SSLContext | None = None,
    client_max_size: int = 1024**2,
    client_max_fields: int = 1000,
    loop: Any = _NOT_GIVEN,
) -> web.Request:
    """Make a request without a server, for tests of handlers and middlewares.

    Args:
        method: the method.
        path: the target, with its query.
        headers: fields.
        match_info: what the router would have found: a mapping of values, or a whole match info.
        version: of HTTP.
        closing: whether the peer wants the connection closed.
        app: the application; one without anything unless given. Its plugins read forms once it is frozen.
        writer: taken for compatibility; what is sent is in ``request.connection.sent``.
        protocol: the connection, an AbstractConnection; one that keeps what is sent unless given.
        transport: what ``request.transport`` is; a mock unless given.
        payload: the body.
        sslcontext: makes ``request.scheme`` "https".
        client_max_size: bytes that ``request.read()`` takes.
        client_max_fields: fields that ``request.post()`` takes.
        loop: taken for compatibility.

    Raises:
        ValueError: method, path or fields that no peer could send.
    """
    application = web.Application(handler=_answer_nothing, plugins=[]) if app is None else app
    if transport is _NOT_GIVEN:
        transport = _make_transport(sslcontext)
    connection = (
        MockedConnection(application, transport, client_max_size, client_max_fields)
        if protocol is _NOT_GIVEN
        else protocol
    )
    head = _make_head(method, path, CIMultiDict(headers or ()), version, closing)
    request = web.Request.from_head(head, payload, connection)
    if match_info is not _NOT_GIVEN:
        request.match_info = _make_match_info(match_info, application)
    return request


async def _answer_nothing(request: Any) -> web.Response:
    return web.Response()


def _make_transport(sslcontext: ssl.SSLContext | None) -> mock.Mock:
    facts = {"sslcontext": sslcontext, "peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}
    transport = mock.Mock(spec=asyncio.Transport)
    transport.get_extra_info.side_effect = lambda name, default=None: facts.get(name, default)
    return transport


def _make_head(method: str, path: str, headers: CIMultiDict[str], version: HttpVersion, closing: bool) -> bytes:
    if version >= HttpVersion11:
        headers.setdefault("Host", "127.0.0.1")
    if closing:
        headers["Connection"] = "close"
    lines = [
        f"{method} {path} HTTP/{version.major}.{version.minor}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def _make_match_info(match_info: Any, app: Any) -> Any:
    if hasattr(match_info, "handler"):
        return match_info
    route = web.SystemRoute(404, "Not Found")
    return web.UrlMappingMatchInfo(dict(match_info), route, (app,))


def make_mocked_coro(return_value: Any = _NOT_GIVEN, raise_exception: Any = _NOT_GIVEN) -> Any:
    """Make a mock that is a coroutine function: it returns a value, or raises an exception."""
    made = mock.AsyncMock(return_value=mock.sentinel.RETURNED if return_value is _NOT_GIVEN else return_value)
    if raise_exception is not _NOT_GIVEN:
        made.side_effect = raise_exception
    return made
