"""The types of ASGI 3. Source: ASGI specification 3.0, HTTP and WebSocket message format 2.4, lifespan 2.0."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Of requests and WebSockets; since 2.4 ``send`` raises OSError when the peer has gone.
VERSIONS: Final = {"version": "3.0", "spec_version": "2.4"}
LIFESPAN_VERSIONS: Final = {"version": "3.0", "spec_version": "2.0"}


def make_type_error(message: Message, expected: str) -> RuntimeError:
    """Make the error for a message that an application may not send now."""
    return RuntimeError(f"the ASGI application sent {message['type']!r}, expected {expected}")
