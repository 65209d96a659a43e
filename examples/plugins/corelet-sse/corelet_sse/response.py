"""The stream of events that answers a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final

from corelet import web

from .event import format_comment, format_event
from .open_sources import OpenSources, find_open_sources

#: Seconds of silence until a comment is sent. Source: HTML standard, section 9.2.7: "every 15 seconds or so".
PING_SECONDS: Final = 15.0
_PING: Final = format_comment("ping")


class EventSourceResponse(web.StreamResponse):
    """A response that sends events, until its peer goes, the server stops or somebody calls :meth:`stop`.

    :func:`event_source` opens one around a block. By hand: :meth:`prepare` it, :meth:`send`, and return it.

    Args:
        status: 200; browsers take no other.
        reason: the phrase in the status line; default the registered one.
        headers: fields of the head. ``Cache-Control: no-store`` and ``X-Accel-Buffering: no``, which keeps nginx from
            collecting events, are added where they are missing.
        ping_seconds: seconds of silence until a comment is sent, so that proxies keep the connection, and a peer that
            is gone is noticed; default 15, None for no comments.
        retry: milliseconds until a browser connects again; None for its own choice.

    Raises:
        ValueError: ``ping_seconds`` is not more than 0.
    """

    def __init__(
        self,
        *,
        status: int = 200,
        reason: str | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        ping_seconds: float | None = PING_SECONDS,
        retry: int | None = None,
    ) -> None:
        super().__init__(status=status, reason=reason, headers=headers)
        if ping_seconds is not None and ping_seconds <= 0:
            raise ValueError(f"ping_seconds is {ping_seconds}, expected more than 0, or None for no comments")
        self.headers["Content-Type"] = "text/event-stream"
        self.headers.setdefault("Cache-Control", "no-store")
        self.headers.setdefault("X-Accel-Buffering", "no")
        self._ping_seconds = ping_seconds
        self._first = b"" if retry is None else format_event(None, retry=retry)
        self._last_event_id: str | None = None
        self._sent_at = 0.0
        self._ended = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._sources = OpenSources()
        #: Called once, when the stream has come to its end.
        self.on_end: Callable[[], None] | None = None

    @property
    def last_event_id(self) -> str | None:
        """The id of the last event that the peer has seen, where it connects again; else None."""
        return self._last_event_id

    @property
    def is_connected(self) -> bool:
        """Whether events can be sent."""
        return self.prepared and not self._ended.is_set()

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Send the head; events follow. An answer to HEAD ends with it."""
        if self.prepared:
            return await super().prepare(request)
        writer = await super().prepare(request)
        self._last_event_id = request.headers.get("Last-Event-ID")
        if request.method == "HEAD":
            self._end()
            return writer
        self._sent_at = asyncio.get_running_loop().time()
        self._watching = asyncio.create_task(self._watch(request))
        self._sources = find_open_sources(request.connection.app)
        self._sources.add(self)
        # The head goes at once, though the first event may be far.
        await self.write(self._first)
        return writer

    # Sending.

    async def send(
        self,
        data: str | None,
        *,
        event: str | None = None,
        id: str | None = None,  # noqa: A002  # the standard's name
        retry: int | None = None,
    ) -> None:
        """Send an event; waits while the peer is behind. Several tasks may send.

        Args:
            data: any text, of any number of lines; None to set an id or a time and give the page no event.
            event: its type; None for ``message``, which is what ``onmessage`` gets.
            id: what the browser gives in Last-Event-ID when it connects again.
            retry: milliseconds until it connects again, from now on.

        Raises:
            ConnectionResetError: the stream has ended: the peer has gone, or it was stopped.
            RuntimeError: before :meth:`prepare`.
            ValueError: a line end where there may be none.
        """
        await self._send(format_event(data, event=event, id=id, retry=retry))

    async def send_json(
        self,
        data: Any,
        *,
        event: str | None = None,
        id: str | None = None,  # noqa: A002  # the standard's name
        retry: int | None = None,
        dumps: Callable[[Any], str] = json.dumps,
    ) -> None:
        """Send an event whose data is JSON; as :meth:`send`."""
        await self.send(dumps(data), event=event, id=id, retry=retry)

    async def send_comment(self, text: str) -> None:
        """Send a comment, which the page doesn't see; raises as :meth:`send`."""
        await self._send(format_comment(text))

    async def _send(self, block: bytes) -> None:
        if self._ended.is_set():
            raise ConnectionResetError("the stream of events has ended: the peer has gone, or it was stopped")
        self._sent_at = asyncio.get_running_loop().time()
        try:
            await self.write(block)
        except ConnectionError:  # the watch has yet to learn it
            self._end()
            raise

    async def _watch(self, request: web.BaseRequest) -> None:
        """Wait until the peer has gone, and break the silence meanwhile."""
        loop = asyncio.get_running_loop()
        silence = self._ping_seconds
        try:
            while True:
                try:
                    async with asyncio.timeout_at(None if silence is None else self._sent_at + silence):
                        await request.wait_for_disconnection()
                        return
                except TimeoutError:
                    if silence is not None and loop.time() >= self._sent_at + silence:
                        await self._send(_PING)
        except ConnectionError:  # it went while a comment was on its way
            return
        finally:
            self._end()

    # Ending.

    async def wait(self) -> None:
        """Return when the stream has ended: the peer has gone, the server stops, or :meth:`stop` was called."""
        await self._ended.wait()

    def stop(self) -> None:
        """End the stream: :meth:`wait` returns, and the block of :func:`event_source` is left.

        The browser connects again; it gives up where that is answered by 204.
        """
        self._end()

    def _end(self) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        self._sources.discard(self)
        if self._watching is not None and self._watching is not asyncio.current_task():
            self._watching.cancel()
        if self.on_end is not None:
            self.on_end()

    async def write_eof(self, data: bytes = b"") -> None:
        """End the response; the server calls it when the handler has returned."""
        self._end()
        await super().write_eof(data)


class event_source:  # noqa: N801  # used like a function
    """Open a stream of events for a block: ``async with event_source(request) as events``; then ``return events``.

    The block is left, wherever it waits, when the peer goes, when the server stops, and by ``events.stop()``; what
    comes after it in the handler is for cleaning up.

    Args:
        request: the request to answer.
        options: for the :class:`EventSourceResponse`.
    """

    def __init__(self, request: web.BaseRequest, **options: Any) -> None:
        self._request = request
        self._response = EventSourceResponse(**options)
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._is_left = False
        self._leaving: asyncio.Handle | None = None

    async def __aenter__(self) -> EventSourceResponse:
        await self._response.prepare(self._request)
        self._task = asyncio.current_task()
        assert self._task is not None
        self._cancelling = self._task.cancelling()
        if self._response.is_connected:
            self._response.on_end = self._leave
        else:
            self._leaving = asyncio.get_running_loop().call_soon(self._leave)
        return self._response

    def _leave(self) -> None:
        if self._task is not None and self._task is not asyncio.current_task():
            self._is_left = True
            self._task.cancel()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        response, task = self._response, self._task
        assert task is not None
        response.on_end = None
        if self._leaving is not None:
            self._leaving.cancel()
        has_ended = not response.is_connected
        response.stop()
        # Somebody else may have cancelled the task as well: that goes on.
        is_ours = self._is_left and task.uncancel() <= self._cancelling
        if exc_type is None or (is_ours and exc_type is asyncio.CancelledError):
            return True
        return has_ended and exc_type is ConnectionResetError
