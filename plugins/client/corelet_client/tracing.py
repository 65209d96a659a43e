"""Watch what a session does: signals of a request's life, and what each tells.

    on_request_start
      on_connection_queued_start, on_connection_queued_end           where the pool is full
      on_connection_reuseconn                                        a pooled connection, or
      on_connection_create_start                                     a new one
        on_dns_cache_hit, or on_dns_cache_miss, on_dns_resolvehost_start, on_dns_resolvehost_end
      on_connection_create_end
      on_request_headers_sent
      on_request_chunk_sent                                          for each part of the body
      on_request_redirect                                            then the next request
    on_request_end                                                   or on_request_exception
      on_response_chunk_received                                     for each part that is read

A listener is ``async (session, context, params)``; the context is one for each request. An exception from a listener is
one of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from aiosignal import Signal

if TYPE_CHECKING:
    from multidict import CIMultiDict
    from yarl import URL

    from .response import ClientResponse
    from .session import ClientSession


# What the signals tell.


@dataclass(frozen=True, slots=True)
class TraceRequestStartParams:
    """A request is about to start. ``headers`` may be changed."""

    method: str
    url: URL
    headers: CIMultiDict[str]


@dataclass(frozen=True, slots=True)
class TraceRequestHeadersSentParams:
    """The head of a request was handed to the socket."""

    method: str
    url: URL
    headers: CIMultiDict[str]


@dataclass(frozen=True, slots=True)
class TraceRequestChunkSentParams:
    """A part of a request's body was handed to the socket."""

    method: str
    url: URL
    chunk: bytes


@dataclass(frozen=True, slots=True)
class TraceResponseChunkReceivedParams:
    """A part of a response's body was read."""

    method: str
    url: URL
    chunk: bytes


@dataclass(frozen=True, slots=True)
class TraceRequestRedirectParams:
    """The response sends elsewhere, and that is followed."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    response: ClientResponse


@dataclass(frozen=True, slots=True)
class TraceRequestEndParams:
    """The head of the last response is here."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    response: ClientResponse


@dataclass(frozen=True, slots=True)
class TraceRequestExceptionParams:
    """The request failed."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    exception: BaseException


@dataclass(frozen=True, slots=True)
class TraceConnectionQueuedStartParams:
    """The pool is full: the request waits for a connection."""


@dataclass(frozen=True, slots=True)
class TraceConnectionQueuedEndParams:
    """The wait for a connection is over."""


@dataclass(frozen=True, slots=True)
class TraceConnectionCreateStartParams:
    """A new connection is about to be opened."""


@dataclass(frozen=True, slots=True)
class TraceConnectionCreateEndParams:
    """The new connection is open."""


@dataclass(frozen=True, slots=True)
class TraceConnectionReuseconnParams:
    """A connection of the pool is used."""


@dataclass(frozen=True, slots=True)
class TraceDnsResolveHostStartParams:
    """The resolver is about to be asked for a host."""

    host: str


@dataclass(frozen=True, slots=True)
class TraceDnsResolveHostEndParams:
    """The resolver has answered."""

    host: str


@dataclass(frozen=True, slots=True)
class TraceDnsCacheHitParams:
    """The addresses of the host are known."""

    host: str


@dataclass(frozen=True, slots=True)
class TraceDnsCacheMissParams:
    """The addresses of the host are not known."""

    host: str


#: Signal -> what it tells.
SIGNALS: Final[dict[str, type[Any]]] = {
    "on_request_start": TraceRequestStartParams,
    "on_request_headers_sent": TraceRequestHeadersSentParams,
    "on_request_chunk_sent": TraceRequestChunkSentParams,
    "on_response_chunk_received": TraceResponseChunkReceivedParams,
    "on_request_end": TraceRequestEndParams,
    "on_request_exception": TraceRequestExceptionParams,
    "on_request_redirect": TraceRequestRedirectParams,
    "on_connection_queued_start": TraceConnectionQueuedStartParams,
    "on_connection_queued_end": TraceConnectionQueuedEndParams,
    "on_connection_create_start": TraceConnectionCreateStartParams,
    "on_connection_create_end": TraceConnectionCreateEndParams,
    "on_connection_reuseconn": TraceConnectionReuseconnParams,
    "on_dns_resolvehost_start": TraceDnsResolveHostStartParams,
    "on_dns_resolvehost_end": TraceDnsResolveHostEndParams,
    "on_dns_cache_hit": TraceDnsCacheHitParams,
    "on_dns_cache_miss": TraceDnsCacheMissParams,
}


class TraceConfig:
    """Listeners for the requests of a session; give it as ``ClientSession(trace_configs=[...])``.

    Append ``async (session, context, params)`` to the signals before the session is made. One config may serve
    several sessions.

    Args:
        trace_config_ctx_factory: makes the context of each request; called with ``trace_request_ctx``, what the
            request was given under that name.
    """

    on_request_start: Signal[ClientSession, Any, TraceRequestStartParams]
    on_request_headers_sent: Signal[ClientSession, Any, TraceRequestHeadersSentParams]
    on_request_chunk_sent: Signal[ClientSession, Any, TraceRequestChunkSentParams]
    on_response_chunk_received: Signal[ClientSession, Any, TraceResponseChunkReceivedParams]
    on_request_end: Signal[ClientSession, Any, TraceRequestEndParams]
    on_request_exception: Signal[ClientSession, Any, TraceRequestExceptionParams]
    on_request_redirect: Signal[ClientSession, Any, TraceRequestRedirectParams]
    on_connection_queued_start: Signal[ClientSession, Any, TraceConnectionQueuedStartParams]
    on_connection_queued_end: Signal[ClientSession, Any, TraceConnectionQueuedEndParams]
    on_connection_create_start: Signal[ClientSession, Any, TraceConnectionCreateStartParams]
    on_connection_create_end: Signal[ClientSession, Any, TraceConnectionCreateEndParams]
    on_connection_reuseconn: Signal[ClientSession, Any, TraceConnectionReuseconnParams]
    on_dns_resolvehost_start: Signal[ClientSession, Any, TraceDnsResolveHostStartParams]
    on_dns_resolvehost_end: Signal[ClientSession, Any, TraceDnsResolveHostEndParams]
    on_dns_cache_hit: Signal[ClientSession, Any, TraceDnsCacheHitParams]
    on_dns_cache_miss: Signal[ClientSession, Any, TraceDnsCacheMissParams]

    def __init__(self, trace_config_ctx_factory: Callable[..., Any] = SimpleNamespace) -> None:
        self._make_context = trace_config_ctx_factory
        for name in SIGNALS:
            setattr(self, name, Signal(self))

    def trace_config_ctx(self, trace_request_ctx: Any = None) -> Any:
        """Make the context of one request."""
        return self._make_context(trace_request_ctx=trace_request_ctx)

    def freeze(self) -> None:
        """Take no more listeners; a session calls it."""
        for name in SIGNALS:
            signal: Signal[ClientSession, Any, Any] = getattr(self, name)
            signal.freeze()


class Tracer:
    """Send the signals of one request to the configs of its session.

    Args:
        session: the session, which listeners get.
        configs: frozen.
        trace_request_ctx: what the request was given.
    """

    __slots__ = ("_listening", "_session")

    def __init__(self, session: ClientSession, configs: Sequence[TraceConfig], trace_request_ctx: Any = None) -> None:
        self._session = session
        self._listening = [(config, config.trace_config_ctx(trace_request_ctx)) for config in configs]

    def listens(self, signal: str) -> bool:
        """Whether anybody listens to a signal; params need not be made for the others."""
        return any(getattr(config, signal) for config, _ in self._listening)

    async def send(self, signal: str, params: Any) -> None:
        """Call the listeners of a signal, one after the other."""
        for config, context in self._listening:
            listeners: Signal[ClientSession, Any, Any] = getattr(config, signal)
            if listeners:
                await listeners.send(self._session, context, params)
