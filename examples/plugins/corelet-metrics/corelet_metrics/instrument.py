"""The instrument: what the kernel does, counted."""

from __future__ import annotations

import time
from typing import Any, Final

from corelet import web
from corelet.abc import Instrument

from .family import Families
from .label import ABORTED, RouteLabels, find_method
from .metrics import ExemplarMaker

#: When a request has started, and the label that it is in progress by.
_STARTED: Final = web.RequestKey[tuple[float, str]]("started")
_SWITCHING_PROTOCOLS: Final = 101


class RequestInstrument(Instrument):
    """Count connections and requests.

    Args:
        families: what is counted into.
        exemplar: makes exemplars, or None.
    """

    def __init__(self, families: Families, exemplar: ExemplarMaker | None) -> None:
        self._families = families
        self._exemplar = exemplar
        self._routes = RouteLabels()

    def connection_made(self, connection: Any) -> None:
        self._families.connections.inc()

    def connection_lost(self, connection: Any, exc: BaseException | None) -> None:
        self._families.connections.dec()

    def request_started(self, request: Any) -> None:
        method = find_method(request)
        request[_STARTED] = (time.perf_counter(), method)
        self._families.in_progress.labels(method).inc()

    def request_finished(self, request: Any, response: Any) -> None:
        families = self._families
        started, method_in_progress = request[_STARTED]
        families.in_progress.labels(method_in_progress).dec()
        by_route = (find_method(request), self._routes.find(request))
        status = ABORTED if response is None else str(response.status)
        exemplar = self._make_exemplar(request)
        families.requests.labels(*by_route, status).inc(exemplar=exemplar)
        families.request_sizes.labels(*by_route).observe(request.content.total_raw_bytes)
        sent = response or request.response
        families.response_sizes.labels(*by_route).observe(0 if sent is None else sent.body_length)
        if sent is None or sent.status != _SWITCHING_PROTOCOLS:
            families.durations.labels(*by_route).observe(time.perf_counter() - started, exemplar)

    def request_refused(self, status: int, reason: str) -> None:
        self._families.refused.labels(str(status)).inc()

    def _make_exemplar(self, request: Any) -> dict[str, str] | None:
        made = None if self._exemplar is None else self._exemplar(request)
        return dict(made) if made else None
