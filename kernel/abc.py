"""The ports: what the kernel asks of plugins, and of parts that applications may replace.

A lower floor that must speak of a higher thing speaks of a class from here.
"""

from __future__ import annotations

import asyncio
import enum
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import io
    import logging

    from multidict import CIMultiDict

#: What answers a request: takes the request, returns an awaitable of the response.
Handler = Callable[[Any], Awaitable[Any]]
#: What stands between: takes the request and the next handler.
Middleware = Callable[[Any, Handler], Awaitable[Any]]


class Mark(enum.Enum):
    """What a parser says between heads and bytes of a body."""

    #: The message is complete.
    END_OF_MESSAGE = "end of message"
    #: The message asked for another protocol: parsing stopped until ``resume()`` or ``take_rest()``.
    PAUSED = "paused"
    #: A chunk of the chunked coding is complete (only from a parser made with ``chunk_marks=True``).
    CHUNK_END = "chunk end"


END_OF_MESSAGE: Final = Mark.END_OF_MESSAGE
PAUSED: Final = Mark.PAUSED
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
        """The handler as it was registered, without middlewares."""

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

    def freeze(self) -> None:
        """Take no more routes; called once, when the application starts."""
        self._frozen = True

    def routes(self) -> Iterable[Any]:
        """Every route known at freeze; hooks that wrap handlers are asked for each of them then."""
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
    """A handler that is a class: made with the request, awaited for the response."""

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
        """Code the content before it is framed."""
        raise LookupError(f"no content coding {encoding!r}: pip install corelet-compression")

    def send_headers(self) -> None:
        """Hand a head that was held back to the transport."""


class ReadingControl(Protocol):
    """What a stream needs of its connection: to stop and go on reading."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class UpgradedProtocol(Protocol):
    """What takes a connection over after an upgrade: an ``asyncio.Protocol``."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> bool | None: ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


class ContentCoding(ABC):
    """A content coding for both directions. Registered by ``corelet_register_codings``."""

    #: The name in Content-Encoding and Accept-Encoding, in lower case.
    name: str

    @abstractmethod
    def make_encoder(self) -> Any:
        """Make an object with ``encode(bytes) -> bytes`` and ``finish() -> bytes``."""

    @abstractmethod
    def make_decoder(self, max_bytes: int) -> Any:
        """Make an object with ``decode(bytes) -> bytes`` and ``finish() -> bytes``, bounded by ``max_bytes``."""


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
        """A head was parsed and its handler is about to start."""

    def request_finished(self, request: Any, response: Any) -> None:
        """The answer was handed to the transport."""

    def request_refused(self, status: int, reason: str) -> None:
        """The peer broke HTTP/1.1 and is answered by ``status``; there is no request."""


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
    #: Whether an answer that is plain itself can be sent as it is: see ``RequestHead.is_simple``.
    is_simple: bool
    #: What runs before the head of every response, with the request and the response; None when nothing does.
    prepare_response: Callable[[Any, Any], Awaitable[None]] | None

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
    def take_over(self, protocol: UpgradedProtocol) -> None:
        """Give the connection to another protocol, with the bytes that were read beyond the request."""

    @abstractmethod
    async def wait_for_disconnection(self) -> None:
        """Return once the peer has gone."""

    @abstractmethod
    async def read_form(self, request: Any) -> Iterable[tuple[str, Any]] | None:
        """Read a body by the form reader of its media type; None where no plugin has one."""

    @abstractmethod
    def open_multipart(self, request: Any) -> Any | None:
        """Open a multipart body for reading part by part; None where no plugin does."""
