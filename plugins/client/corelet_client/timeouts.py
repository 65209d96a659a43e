"""How long each wait of a request may take, and the errors that say which one took longer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .errors import ConnectionTimeoutError, ServerTimeoutError, SocketTimeoutError

if TYPE_CHECKING:
    from .request import ClientRequest

#: What has no end.
NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class ClientTimeout:
    """Bound the waits of a request, in seconds; None or 0 for no bound.

    Args:
        total: the whole request: from its start to the last byte of the answer's body, redirects included.
        connect: until there is a connection, with the wait for a free place in the pool.
        sock_read: between two pieces that the server sends, head and body, once the request's body is sent.
        sock_connect: until a new connection is open: address, TCP and TLS, proxy.
        ceil_threshold: taken and not needed: no deadline is rounded.
    """

    total: float | None = None
    connect: float | None = None
    sock_read: float | None = None
    sock_connect: float | None = None
    ceil_threshold: float = 5

    def __post_init__(self) -> None:
        for name in ("total", "connect", "sock_read", "sock_connect"):
            if not isinstance(seconds := getattr(self, name), int | float | None):
                raise TypeError(f"ClientTimeout.{name} is a number of seconds or None, not {seconds!r}")


#: aiohttp's: five minutes for all, thirty seconds for a connection.
DEFAULT_TIMEOUT: Final = ClientTimeout(total=5 * 60, sock_connect=30)


def take_timeout(timeout: ClientTimeout | float | None) -> ClientTimeout:
    """Check what was given as ``timeout``; a number is the total, None sets no bound.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(timeout, ClientTimeout):
        return timeout
    if timeout is None or isinstance(timeout, int | float):
        return ClientTimeout(total=timeout)
    raise TypeError(f"timeout is a ClientTimeout, a number of seconds or None, not {type(timeout).__name__}")


def _find_seconds(request: ClientRequest, name: str) -> float | None:
    seconds: float | None = getattr(request.settings.timeout, name)
    return seconds


def make_total_error(request: ClientRequest) -> ServerTimeoutError:
    """Make the error of a request that took longer than ``total``."""
    return ServerTimeoutError(_describe(request, "total"))


def make_read_error(request: ClientRequest) -> SocketTimeoutError:
    """Make the error of a server that sent nothing for longer than ``sock_read``."""
    return SocketTimeoutError(_describe(request, "sock_read"))


def make_connect_error(request: ClientRequest, name: str) -> ServerTimeoutError:
    """Make the error of a connection that was not there in time, by the name of the bound."""
    if name == "total":
        return make_total_error(request)
    return ConnectionTimeoutError(_describe(request, name))


def _describe(request: ClientRequest, name: str) -> str:
    url = request.url.with_user(None)
    return f"{request.method} {url} took longer than {_find_seconds(request, name)} s (ClientTimeout.{name})"
