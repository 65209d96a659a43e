"""The hooks of the client plugin. A docstring here is that hook's page in the documentation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from corelet import hookspec

if TYPE_CHECKING:
    from .request import ClientRequest
    from .response import ClientResponse
    from .tracing import TraceConfig


@hookspec
def corelet_client_wrap_send(
    session: Any,
) -> (
    Callable[
        [Callable[[ClientRequest], Awaitable[ClientResponse]]], Callable[[ClientRequest], Awaitable[ClientResponse]]
    ]
    | None
):
    """Wrap how a session sends one request, outside of the session's middlewares.

    Every request that goes out passes it: each redirect is one more. What changes requests is switched on by a visible
    line in the program, not by being installed.

    When: a session sends its first request.

    Order: as all hooks; the first answer is the outermost wrapper.

    Args:
        session: the ClientSession.

    Returns: a function that takes ``send`` and returns a ``send``, both ``async (ClientRequest) -> ClientResponse``;
        None to leave the session as it is, at no cost for its requests.

    Raises: any exception leaves the request.

    Since: hook API 1.
    """


@hookspec
def corelet_client_trace(session: Any) -> TraceConfig | None:
    """Watch the requests of a session: metrics, traces.

    When: a session sends its first request.

    Order: as all hooks, after the session's own ``trace_configs``.

    Args:
        session: the ClientSession.

    Returns: a TraceConfig, or None to watch nothing, at no cost for its requests.

    Raises: any exception leaves the request.

    Since: hook API 1.
    """
