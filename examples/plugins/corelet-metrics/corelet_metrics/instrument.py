"""The instrument: what the kernel does, counted."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from corelet import web
from corelet.abc import Instrument

from .family import Children, Families
from .label import ABORTED, RouteLabels, find_method
from .metrics import ExemplarMaker

logger: Final = logging.getLogger("corelet.metrics")

#: Characters of an exemplar, names and values together. Source: OpenMetrics 1.0, exemplars.
MAX_EXEMPLAR_CHARACTERS: Final = 128
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
        self._connections = families.connections
        self._in_progress = Children(families.in_progress)
        self._requests = Children(families.requests)
        self._durations = Children(families.durations)
        self._request_sizes = Children(families.request_sizes)
        self._response_sizes = Children(families.response_sizes)
        self._refused = Children(families.refused)
        self._exemplar = exemplar
        self._routes = RouteLabels()

    def connection_made(self, connection: Any) -> None:
        self._connections.inc()

    def connection_lost(self, connection: Any, exc: BaseException | None) -> None:
        self._connections.dec()

    def request_started(self, request: Any) -> None:
        method = find_method(request)
        request[_STARTED] = (time.perf_counter(), method)
        self._in_progress[(method,)].inc()

    def request_finished(self, request: Any, response: Any) -> None:
        started, method_in_progress = request[_STARTED]
        self._in_progress[(method_in_progress,)].dec()
        method, route = by_route = (find_method(request), self._routes.find(request))
        status = ABORTED if response is None else str(response.status)
        exemplar = self._make_exemplar(request)
        self._requests[(method, route, status)].inc(exemplar=exemplar)
        self._request_sizes[by_route].observe(request.content.total_raw_bytes)
        sent = request.response if response is None else response
        self._response_sizes[by_route].observe(0 if sent is None else sent.body_length)
        if sent is None or sent.status != _SWITCHING_PROTOCOLS:
            self._durations[by_route].observe(time.perf_counter() - started, exemplar)

    def request_refused(self, status: int, reason: str) -> None:
        self._refused[(str(status),)].inc()

    def _make_exemplar(self, request: Any) -> dict[str, str] | None:
        if self._exemplar is None:
            return None
        try:
            made = dict(self._exemplar(request) or {})
            size = sum(map(len, (*made, *made.values())))
        except Exception:  # an instrument that raises is called no more
            logger.exception("%r has no exemplar: what should make it has failed", request)
            return None
        # What makes it may take a peer's field, which may be of any length.
        return made if 0 < size <= MAX_EXEMPLAR_CHARACTERS else None
