"""The ports: what the kernel asks of plugins, and of parts that applications may replace.

A lower floor that must speak of a higher thing speaks of a class from here.
"""

from __future__ import annotations

import asyncio
import enum
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, Final, Protocol, TypedDict

if TYPE_CHECKING:
    import io
    import logging
    from http.cookies import BaseCookie, Morsel

    from multidict import CIMultiDict
    from yarl import URL

#: What answers a request: takes the request, returns an awaitable of the response.
Handler = Callable[[Any], Awaitable[Any]]
#: What stands between: takes the request and the next handler.
Middleware = Callable[[Any, Handler], Awaitable[Any]]
#: What runs before the head of an answer is made: takes the request and the response.
PrepareHook = Callable[[Any, Any], Awaitable[None]]


class Mark(enum.Enum):
    """What a parser says between heads and bytes of a body."""

    #: The message is complete.
    END_OF_MESSAGE = "end of message"
    #: The message asked for another protocol: parsing stopped until ``resume()`` or ``take_rest()``.
    PAUSED = "paused"
    #: A chunk of the chunked coding is complete (only from a parser made with ``chunk_marks=True``).
    CHUNK_END = "chunk end"


#: :attr:`Mark.END_OF_MESSAGE`.
END_OF_MESSAGE: Final = Mark.END_OF_MESSAGE
#: :attr:`Mark.PAUSED`.
PAUSED: Final = Mark.PAUSED
#: :attr:`Mark.CHUNK_END`.
CHUNK_END: Final = Mark.CHUNK_END


class AbstractMatchInfo(ABC):
    """What a router found for one request: a handler, and the applications on the way to it.

    A request's ``match_info`` is one. A router without a match returns one whose :attr:`http_exception`
    is set and whose :attr:`handler` raises it, so that middlewares see 404 and 405 as well.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def handler(self) -> Handler:
        """The handler as it was registered, without middlewares.

        The pipeline calls that of the first match with a :attr:`route` for every request with it, so one that raises
        takes :attr:`http_exception` from ``request.match_info``.
        """

    @property
    @abstractmethod
    def expect_handler(self) -> Callable[[Any], Awaitable[Any]] | None:
        """Answers ``Expect: 100-continue`` before the handler runs; None for the kernel's, which sends 100."""

    @property
    @abstractmethod
    def http_exception(self) -> Any | None:
        """The HTTPException that answers where nothing matched, else None."""

    @property
    @abstractmethod
    def route(self) -> Any:
        """The route found: hashable, the same object for every request that it answers.

        The pipeline builds one callable for each.
        """

    @abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Facts about the match for people: ``path`` or ``formatter`` and ``pattern``."""

    @property
    @abstractmethod
    def apps(self) -> tuple[Any, ...]:
        """The applications on the way, outermost first."""

    @abstractmethod
    def add_app(self, app: Any) -> None:
        """Put an application before those in :attr:`apps`; a router of an outer application calls it."""

    @property
    @abstractmethod
    def current_app(self) -> Any:
        """The application whose middleware or handler runs now; the innermost one unless set."""

    @current_app.setter
    def current_app(self, app: Any) -> None: ...


class AbstractRouter(ABC):
    """Find who answers a request. Filled by ``corelet_make_router``."""

    def __init__(self) -> None:
        self._frozen = False

    def post_init(self, app: Any) -> None:
        """Take the application that this router serves; called once, when it is made."""

    @property
    def frozen(self) -> bool:
        """Whether routes can no longer be added."""
        return self._frozen

    def add_prefix(self, prefix: str) -> None:
        """Move all routes, those that are added later too, below a prefix; called where the application is mounted.

        An application in an application in a third one is moved twice, by the inner prefix first.

        Args:
            prefix: a path without variables: ``/api``.

        Raises:
            TypeError: the router has routes that can't be moved; any router by default.
        """
        raise TypeError(f"{self!r} can't be moved below {prefix!r}: {type(self).__name__} has no add_prefix()")

    def freeze(self) -> None:
        """Take no more routes; called once, when the application starts."""
        self._frozen = True

    def routes(self) -> Iterable[Any]:
        """Every route known at freeze; hooks that wrap handlers are asked for each of them then.

        ``corelet routes`` shows of each what it has of ``method``, ``name``, ``handler`` and ``get_info()``, where
        ``path``, ``formatter`` or ``prefix`` is the path, and ``domain`` stands before it.
        """
        return ()

    def find(self, request: Any) -> AbstractMatchInfo | None:
        """Find the match for a request at once; None to have :meth:`resolve` awaited, as for every request by default.

        For routers that seldom have to wait: a coroutine less for each request.
        """
        return None

    @abstractmethod
    async def resolve(self, request: Any) -> AbstractMatchInfo:
        """Find the match for a request, after :meth:`freeze`; called where :meth:`find` gave None."""


class AbstractView(ABC):
    """A handler that is a class: made with the request, awaited for the response. ``web.View`` is one."""

    def __init__(self, request: Any) -> None:
        self._request = request

    @property
    def request(self) -> Any:
        """The request to answer."""
        return self._request

    @abstractmethod
    def __await__(self) -> Generator[Any, None, Any]:
        """Answer the request."""


class AbstractAccessLogger(ABC):
    """Write one line for each answer. Filled by ``corelet_make_access_logger`` or ``access_log_class``."""

    __slots__ = ("log_format", "logger")

    def __init__(self, logger: logging.Logger, log_format: str) -> None:
        self.logger = logger
        self.log_format = log_format

    @abstractmethod
    def log(self, request: Any, response: Any, time: float) -> None:
        """Write the line; ``time`` is how long the answer took, in seconds."""

    @property
    def enabled(self) -> bool:
        """Whether :meth:`log` would write anything; asked once, when a server is made."""
        return True


#: Bytes of a file that are read at once to be sent. aiohttp's ``chunk_size`` of static files.
FILE_PIECE_BYTES: Final = 262_144


async def send_pieces_of_file(
    file: io.RawIOBase, offset: int, count: int, piece_bytes: int, send: Callable[[bytes], Awaitable[None]]
) -> int:
    """Read a part of a file in a thread, piece by piece, and send each; the bytes sent."""
    loop = asyncio.get_running_loop()

    def read(position: int, size: int) -> bytes:
        file.seek(position)
        return file.read(size) or b""

    sent = 0
    while sent < count:
        piece = await loop.run_in_executor(None, read, offset + sent, min(count - sent, piece_bytes))
        if not piece:
            break
        await send(piece)
        sent += len(piece)
    return sent


class AbstractStreamWriter(ABC):
    """Takes the bytes of one message's body; a Payload writes itself to one."""

    #: Bytes of content handed over, before framing.
    buffer_size: int = 0
    #: Bytes handed to the transport, with framing.
    output_size: int = 0
    #: Bytes of content still to come by Content-Length; None when unknown.
    length: int | None = 0

    @abstractmethod
    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Send a part of the body; waits while the peer is behind."""

    @abstractmethod
    async def write_eof(self, chunk: bytes = b"") -> None:
        """Send the last part and end the body; a second call does nothing."""

    async def send_file(
        self, file: io.RawIOBase, offset: int, count: int, *, piece_bytes: int = FILE_PIECE_BYTES
    ) -> int:
        """Send a part of a file; by the system's own copying where the connection can, else read in a thread.

        Args:
            file: open for bytes, unbuffered; nobody else may use it meanwhile.
            offset: where the part begins.
            count: bytes of it.
            piece_bytes: bytes that are read at once where the system doesn't copy.

        Returns:
            Bytes sent: fewer than ``count`` where the file has become shorter.
        """
        return await send_pieces_of_file(file, offset, count, piece_bytes, self.write)

    @abstractmethod
    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written."""

    @abstractmethod
    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        """Send the head; ``status_line`` is the start line without its CRLF."""

    @abstractmethod
    def enable_chunking(self) -> None:
        """Frame the body by the chunked coding. Source: RFC 9112 section 7.1."""

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Code the content before it is framed.

        Raises:
            LookupError: there is no such coding; any by default.
        """
        raise LookupError(f"no content coding {encoding!r}: pip install corelet-compression")

    def send_headers(self) -> None:
        """Hand a head that was held back to the transport."""


class ReadingControl(Protocol):
    """What a :class:`~corelet.StreamReader` needs of its connection: to stop and go on reading."""

    def pause_reading(self) -> None:
        """Read no more: the reader is behind."""

    def resume_reading(self) -> None:
        """Read on."""


class UpgradedProtocol(Protocol):
    """What takes a connection over after an upgrade: an ``asyncio.Protocol``.

    Handed to ``request.take_over()`` once the answer is prepared.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; the first call."""

    def data_received(self, data: bytes) -> None:
        """Take bytes; first those that were read beyond the request, if there are any."""

    def eof_received(self) -> bool | None:
        """Take the end of what the peer sends; something true keeps the transport open for writing."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End; the last call."""

    def pause_writing(self) -> None:
        """Write no more: the peer is behind."""

    def resume_writing(self) -> None:
        """Write on."""


class NegotiatedConnection(ABC):
    """A server connection that speaks what the peer chose in the TLS handshake: an ``asyncio.Protocol``.

    Made by a factory of ``corelet_register_protocols``. The server holds its deadline and stops it like its own
    connections: :meth:`stop`, then :meth:`close_idle` as soon as :attr:`is_idle`, and after ``shutdown_timeout``
    :meth:`cancel` and :meth:`abort`. ``server.handler(request)`` answers a request; ``server.app``, ``limits``,
    ``deadlines``, ``logger`` and ``now`` are what its own connections use.

    Args:
        server: the ``web.Server`` that the connection is made for.

    Source: RFC 7301.
    """

    def __init__(self, server: Any) -> None:
        self.server = server
        #: The socket's transport; None before :meth:`connection_made` and once the connection is lost.
        self.transport: asyncio.Transport | None = None
        #: The time by the loop's clock at which the server calls :meth:`expire`, within half a second.
        self.deadline = float("inf")

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin; overriding methods call this one first."""
        self.transport = transport
        self.server.add(self)
        notify = self.server.slots.connection_made
        if notify is not None:
            notify(self)
        self.server.admit(self)

    @abstractmethod
    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer."""

    def eof_received(self) -> bool | None:
        """Take the end of what the peer sends; the transport closes by default."""
        return None

    def pause_writing(self) -> None:
        """Write no more: the peer is behind."""

    def resume_writing(self) -> None:
        """Write on."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End; overriding methods call this one."""
        self.transport = None
        self.server.discard(self)
        notify = self.server.slots.connection_lost
        if notify is not None:
            notify(self, exc)

    def expire(self) -> None:
        """The deadline has come; the connection ends by default."""
        self.abort()

    @property
    @abstractmethod
    def is_idle(self) -> bool:
        """Whether nothing is being read or answered, so that a stopping server may close."""

    @property
    def idle_since(self) -> float:
        """Since when, by ``server.now``, nothing has been read, answered or left to send; infinite while anything is.

        A server whose places are all taken closes what has been idle for longest; by default nothing of this protocol.
        """
        return float("inf")

    def stop(self) -> None:
        """Begin nothing new after what is at work; the server has begun to stop."""

    def close_idle(self) -> None:
        """Close unless something is being read or answered; what stays open is expired after ``linger_seconds``."""
        if self.is_idle and self.transport is not None:
            self.transport.close()

    def cancel(self) -> None:
        """Cancel what is at work; :meth:`abort` comes a second later."""

    def abort(self) -> None:
        """End at once; what hasn't been written is lost."""
        if self.transport is not None:
            self.transport.abort()


#: Makes the connection of a peer that has chosen its protocol: takes the ``web.Server``.
ConnectionFactory = Callable[[Any], NegotiatedConnection]


class AbstractEncoder(ABC):
    """Codes one body, part by part. Made by :meth:`ContentCoding.make_encoder`.

    One call at a time, but not always from the same thread: parts that would hold the loop up are coded in another.
    """

    __slots__ = ()

    @abstractmethod
    def encode(self, data: bytes) -> bytes:
        """Take a part of the content; coded bytes that are ready, often none."""

    @abstractmethod
    def flush(self) -> bytes:
        """Give all that is needed to decode what was taken so far; the body goes on. Called after each ``write()``."""

    @abstractmethod
    def finish(self) -> bytes:
        """End the body and give the rest; no call follows."""


class AbstractDecoder(ABC):
    """Decodes one body, part by part and never much at once. Made by :meth:`ContentCoding.make_decoder`.

    A few coded bytes may stand for gigabytes: what does not fit into one answer is kept, coded, for the next call.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def has_more(self) -> bool:
        """Whether ``decode(b"")`` may give more of what was taken; take no further bytes before that."""

    @abstractmethod
    def decode(self, data: bytes) -> bytes:
        """Take coded bytes and give content: at most ``max_bytes`` of it, or none yet.

        The time it takes is linear in the size of ``data`` and of what is given, whatever the peer has made up.

        Raises:
            ContentDecodingError: the bytes are not of this coding, or damaged.
        """

    @abstractmethod
    def finish(self) -> None:
        """Say that no bytes follow, when :attr:`has_more` is False. A body of no bytes at all is a whole one.

        Raises:
            ContentDecodingError: the body was cut short.
        """


class ContentCoding(ABC):
    """A content coding for both directions. Registered by ``corelet_register_codings``.

    Source: RFC 9110 section 8.4.
    """

    #: The name in Content-Encoding and Accept-Encoding, in lower case.
    name: str

    @abstractmethod
    def make_encoder(self, level: int | None = None) -> AbstractEncoder:
        """Make what codes one body.

        Args:
            level: how hard to try, on the coding's own scale; None for the coding's default.

        Raises:
            ValueError: a level that the coding hasn't.
        """

    @abstractmethod
    def make_decoder(self, max_bytes: int) -> AbstractDecoder:
        """Make what decodes one body.

        Args:
            max_bytes: how much content one call gives at most, from 1; some codings give up to a block more. Not the
                size of the body: whoever reads it has a limit of its own.
        """


class FormReader(ABC):
    """Reads bodies of one media type. Registered by ``corelet_register_form_readers``."""

    @abstractmethod
    async def read(self, request: Any) -> Iterable[tuple[str, Any]]:
        """Read the whole form for ``request.post()``, within ``request.client_max_size`` and ``client_max_fields``."""

    def open(self, request: Any) -> Any | None:
        """Open the body part by part for ``request.multipart()``; None where the media type has no parts."""
        return None


class Instrument:
    """Watch what the kernel does. Handed over by ``corelet_instrument``.

    Only methods really overridden are called; one that raises is logged and called no more.
    """

    def connection_made(self, connection: Any) -> None:
        """A peer has connected."""

    def connection_lost(self, connection: Any, exc: BaseException | None) -> None:
        """The connection has ended."""

    def request_started(self, request: Any) -> None:
        """A head was parsed and its handler is about to start; :meth:`request_finished` follows, however it ends."""

    def request_finished(self, request: Any, response: Any) -> None:
        """The answer was handed to the transport; ``response`` is None where there is none, as the peer has gone."""

    def request_refused(self, status: int, reason: str) -> None:
        """The peer broke HTTP/1.1, or found no place, and is answered by ``status``; there is no request."""


class Channel(Protocol):
    """What a body is written to: the sending half of a connection."""

    @property
    def is_writing_paused(self) -> bool:
        """Whether the peer is behind, so that :meth:`drain` would wait."""

    def send(self, data: bytes) -> None:
        """Hand bytes to the transport; ConnectionResetError once the peer is gone."""

    def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Hand several bytes over in one write."""

    async def drain(self) -> None:
        """Wait until the peer has taken enough; ConnectionResetError once it is gone."""


class AbstractConnection(ABC):
    """A server connection as requests and responses know it."""

    # Instances have these in slots of their own, which a base can't declare without taking them.
    if TYPE_CHECKING:
        __slots__ = (
            "app",
            "automatic_fields",
            "client_max_fields",
            "client_max_size",
            "is_simple",
            "keep_alive",
            "prepare_response",
        )
    else:
        __slots__ = ()

    #: Bytes that ``request.read()`` takes before it ends in 413.
    client_max_size: int
    #: Fields that ``request.post()`` takes before it ends in 413.
    client_max_fields: int
    #: The application served here; None for a bare handler.
    app: Any
    #: The Date and Server field lines, complete, made once a second.
    automatic_fields: bytes
    #: Whether the connection can serve another request after this one; a response may set it to False.
    keep_alive: bool
    #: Whether an answer that is plain itself can be sent as it is: the request is simple as ``RequestHead.is_simple``
    #: says, the connection goes on, and nothing runs before the head.
    is_simple: bool
    #: What runs before the head of every response, with the request and the response; None when nothing does.
    prepare_response: PrepareHook | None

    @property
    @abstractmethod
    def transport(self) -> asyncio.Transport | None:
        """The socket's transport; None once the connection is lost."""

    @property
    @abstractmethod
    def task(self) -> asyncio.Task[Any] | None:
        """The task that runs the handler of the current request."""

    @property
    @abstractmethod
    def is_writing_paused(self) -> bool:
        """Whether the peer is behind, so that :meth:`drain` would wait."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Hand bytes to the transport; ConnectionResetError once the peer is gone."""

    @abstractmethod
    def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Hand several bytes over in one write."""

    async def send_file(
        self, file: io.RawIOBase, offset: int, count: int, *, piece_bytes: int = FILE_PIECE_BYTES
    ) -> int:
        """Send a part of a file as it is; see :meth:`AbstractStreamWriter.send_file`."""
        return await send_pieces_of_file(file, offset, count, piece_bytes, self._send_and_drain)

    async def _send_and_drain(self, data: bytes) -> None:
        self.send(data)
        await self.drain()

    @abstractmethod
    async def drain(self) -> None:
        """Wait until the peer has taken enough; ConnectionResetError once it is gone."""

    @property
    @abstractmethod
    def codings(self) -> Mapping[str, ContentCoding]:
        """The content codings that plugins have registered, by name."""

    @abstractmethod
    def send_continue(self) -> None:
        """Send ``100 Continue``, where the current request waits for it and its body is not here yet."""

    @abstractmethod
    def take_over(
        self, protocol: UpgradedProtocol, on_failure: Callable[[BaseException], object] | None = None
    ) -> None:
        """Give the connection to another protocol, with the bytes that were read beyond the request.

        ``on_failure`` is called with what the handler raises later on, and the protocol closes the transport then;
        without it the transport is cut off.
        """

    @abstractmethod
    async def wait_for_disconnection(self) -> None:
        """Return once the peer has gone."""

    @abstractmethod
    async def read_form(self, request: Any) -> Iterable[tuple[str, Any]] | None:
        """Read a body by the form reader of its media type; None where no plugin has one."""

    @abstractmethod
    def open_multipart(self, request: Any) -> Any | None:
        """Open a multipart body for reading part by part; None where no plugin does."""


class ResolveResult(TypedDict):
    """One address of a host."""

    #: The name that was asked for.
    hostname: str
    #: The address.
    host: str
    #: The port that was asked for.
    port: int
    #: Of the address: ``socket.AF_INET`` or ``AF_INET6``.
    family: int
    #: As ``getaddrinfo`` gives it; 0 for any.
    proto: int
    #: ``AI_*`` flags for a later ``getaddrinfo``; ``AI_NUMERICHOST`` since the address is known.
    flags: int


class AbstractResolver(ABC):
    """Find the addresses of a host, for a client. Given by ``TCPConnector(resolver=...)``."""

    @abstractmethod
    async def resolve(self, host: str, port: int = 0, family: int = 2) -> list[ResolveResult]:
        """Find the addresses of a host, in the order in which they are to be tried.

        Args:
            host: a name.
            port: goes into the results.
            family: ``AF_INET`` (2 on every platform), ``AF_INET6`` or ``AF_UNSPEC`` for both.

        Raises:
            OSError: there is none, or nobody could be asked.
        """

    @abstractmethod
    async def close(self) -> None:
        """Give back what the resolver holds."""


class AbstractCookieJar(Sized, Iterable["Morsel[str]"]):
    """Keep the cookies of a client's session. Given by ``ClientSession(cookie_jar=...)``.

    A jar of length 0 is not asked for cookies.

    Source: RFC 6265.
    """

    @property
    @abstractmethod
    def cookies(self) -> Mapping[tuple[str, str], Mapping[str, Morsel[str]]]:
        """Read only: (domain, path) -> name -> cookie. The domain is "" for cookies that any host gets."""

    @property
    @abstractmethod
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """The (domain, path, name) of cookies that only the very host gets that has set them."""

    @property
    @abstractmethod
    def quote_cookie(self) -> bool:
        """Whether values with special characters are quoted when they are sent."""

    @property
    def unsafe(self) -> bool:
        """Whether cookies from IP addresses are taken."""
        return False

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """The origins without TLS that get secure cookies as well."""
        return frozenset()

    @abstractmethod
    def __iter__(self) -> Iterator[Morsel[str]]:
        """Give every cookie that has not expired."""

    @abstractmethod
    def clear(self, predicate: Callable[[Morsel[str]], bool] | None = None) -> None:
        """Drop every cookie, or those for which the predicate is true."""

    @abstractmethod
    def clear_domain(self, domain: str) -> None:
        """Drop the cookies of a domain and of the domains below it."""

    @abstractmethod
    def update_cookies(self, cookies: Any, response_url: URL) -> None:
        """Take cookies: a mapping of names to values or Morsels, pairs, or a ``BaseCookie``.

        Args:
            cookies: the cookies.
            response_url: who sets them; an empty URL for cookies that any host gets.
        """

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Take the values of Set-Cookie fields.

        Args:
            headers: each value as it came.
            response_url: who has set them.
        """
        from http.cookies import CookieError, SimpleCookie

        for value in headers:
            cookie = SimpleCookie()
            try:
                cookie.load(value)
            except CookieError:  # what can't be read is dropped. Source: RFC 6265 section 5.2
                continue
            if cookie:
                self.update_cookies(cookie, response_url)

    @abstractmethod
    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        """Choose the cookies for a request, in the order in which they are sent."""
