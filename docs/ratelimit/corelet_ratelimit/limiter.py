"""How often each peer may ask."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final, TypeVar

from corelet import web

#: Peers that are counted at once; beyond it a new window begins, so that no flood of addresses fills the memory.
MAX_PEERS: Final = 100_000
_FREE: Final = "corelet_ratelimit_is_free"
_H = TypeVar("_H", bound=web.Handler)


class Limiter:
    """Count the requests of each peer in windows of time.

    Args:
        requests: that a peer may send in one window.
        seconds: how long a window is.
    """

    def __init__(self, requests: int, seconds: float) -> None:
        if requests < 1 or seconds <= 0:
            raise ValueError(f"expected a positive limit, not {requests} requests in {seconds} seconds")
        self.requests = requests
        self.seconds = seconds
        self.refused = 0
        self._counts: Counter[str] = Counter()
        self._window = 0

    def take(self, peer: str) -> float:
        """Count a request; the seconds that the peer has to wait, 0 where it need not."""
        now = time.monotonic()
        window = int(now / self.seconds)
        if window != self._window or len(self._counts) >= MAX_PEERS:
            self._window = window
            self._counts.clear()
        self._counts[peer] += 1
        if self._counts[peer] <= self.requests:
            return 0
        self.refused += 1
        return (window + 1) * self.seconds - now


#: What an application holds once its rate is limited.
LIMITER: Final = web.AppKey("LIMITER", Limiter)


def setup_rate_limit(app: web.Application, requests: int, seconds: float = 1.0) -> None:
    """Let each peer of an application send so many requests in so many seconds; more are answered by 429.

    Args:
        app: the application, before it starts.
        requests: that a peer may send.
        seconds: in which it may.

    Raises:
        ValueError: one of them is not positive.
    """
    app[LIMITER] = Limiter(requests, seconds)


def unlimited(handler: _H) -> _H:
    """Mark a handler that anybody may ask at any time."""
    setattr(handler, _FREE, True)
    return handler


def is_free(handler: object) -> bool:
    """Whether a handler is marked by :func:`unlimited`."""
    return getattr(handler, _FREE, False)
