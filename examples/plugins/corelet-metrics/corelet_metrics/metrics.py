"""The metrics of one application: how they are set up, and the page that a scraper reads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from corelet import web

from .family import Families, find_families

#: Makes an exemplar of a request, such as ``{"trace_id": "..."}``; None for none.
ExemplarMaker = Callable[[Any], Mapping[str, str] | None]

#: Where processes of one server share their values; prometheus-client reads it when it is imported.
_SHARED_VARIABLES: Final = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")


class Metrics:
    """The metrics of an application. Made by :func:`setup_metrics`.

    Attributes:
        registry: what holds them.
        path: where the page is; None for nowhere.
        families: what is counted.
        exemplar: makes the exemplars, or None.
    """

    def __init__(
        self, registry: CollectorRegistry, path: str | None, families: Families, exemplar: ExemplarMaker | None
    ) -> None:
        self.registry: Final = registry
        self.path: Final = path
        self.families: Final = families
        self.exemplar: Final = exemplar

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a scrape, as text or OpenMetrics by Accept. A handler: it may be served by any application.

        ``name[]`` in the query chooses metrics. Made in a thread: collectors may wait for files.
        """
        names = request.query.getall("name[]", [])
        accept = ", ".join(request.headers.getall("Accept", []))
        body, content_type = await asyncio.to_thread(self.render, accept, names)
        fields = {"Content-Type": content_type, "Cache-Control": "no-store", "Vary": "Accept"}
        response = web.Response(body=body, headers=fields)
        if request.connection.codings:
            response.enable_compression()
        return response

    def render(self, accept: str = "", names: Iterable[str] = ()) -> tuple[bytes, str]:
        """Write all metrics of the registry; in multiprocess mode those of all processes.

        Args:
            accept: the value of Accept.
            names: of metrics to write, such as ``http_requests_total``; none for all.

        Returns:
            The page and its Content-Type.
        """
        encode, content_type = choose_encoder(accept)
        registry = self.registry
        if is_shared():
            registry = CollectorRegistry(support_collectors_without_names=True)
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus-client has no type here
        wanted = list(names)
        return encode(registry.restricted_registry(wanted) if wanted else registry), content_type

    def end_process(self) -> None:
        """Have the gauges of this process count no more where several share them."""
        if is_shared():
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]  # prometheus-client has no type here

    def describe(self) -> str:
        """Say where the page is, and whose values it has."""
        place = "no page of its own" if self.path is None else f"page {self.path}"
        return f"{place}; values of {'all processes' if is_shared() else 'this process'}"


class MetricsPlace:
    """What the plugin keeps for each application.

    Attributes:
        metrics: what was set up; None for nothing.
        has_router: whether the application's router has asked for routes.
    """

    def __init__(self) -> None:
        self.metrics: Metrics | None = None
        self.has_router = False

    def take_routes(self) -> list[web.AbstractRouteDef] | None:
        """Give the routes for the application's router, which asks once."""
        self.has_router = True
        if self.metrics is None or self.metrics.path is None:
            return None
        return [web.get(self.metrics.path, self.metrics.handle)]

    def check(self, app: web.Application) -> None:
        """Refuse to start where nothing would be counted, or nobody could see it."""
        if self.metrics is None:
            return
        if app.is_mounted:
            raise RuntimeError(
                f"setup_metrics({app!r}): it is mounted in another application; instruments are the served "
                "application's for all within, so set up that one"
            )
        # An application without routes of its own has had no need for a router until now.
        router = None if self.metrics.path is None else app.router
        if router is not None and not self.has_router:
            raise RuntimeError(
                f"setup_metrics(): {router!r} takes no routes of plugins; set up with path=None, and have "
                "metrics.handle answer"
            )


METRICS_PLACE: Final = web.AppKey("metrics", MetricsPlace)


def setup_metrics(
    app: web.Application,
    *,
    path: str | None = "/metrics",
    registry: CollectorRegistry = REGISTRY,
    namespace: str = "http",
    buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS,
    exemplar: ExemplarMaker | None = None,
) -> Metrics:
    """Count what an application answers. Call it right after ``Application()``, before routes are added.

    Applications that share a registry and a namespace count into the same metrics. Labels are bounded: ``route`` is the
    pattern, like ``/users/{id}``, and "unmatched" for all that no route answers; ``method`` is "other" for what no
    route has asked for and no RFC has.

    Args:
        app: the application that is served, not one mounted in it.
        path: of the page; None for no page: :meth:`Metrics.handle` can be served elsewhere, on a port that is not
            public.
        registry: what holds the metrics; default prometheus-client's own, where those of other libraries are.
        namespace: what names begin with: ``http`` gives ``http_requests_total``.
        buckets: upper bounds for the histogram of durations, in seconds.
        exemplar: takes a request that was answered and gives labels for an exemplar, or None; one of more than 128
            characters is left out, what it raises is logged.

    Returns:
        The metrics.

    Raises:
        RuntimeError: the application has a router already, or metrics, or was made without this plugin.
        ValueError: it has no router and a path was given, or the names are taken, with other buckets perhaps.
    """
    place = app.get(METRICS_PLACE)
    if place is None:
        raise RuntimeError(f"{app!r} was made without the plugin corelet-metrics: is it blocked, or not in plugins=?")
    if place.metrics is not None:
        raise RuntimeError(f"{app!r} has metrics already: setup_metrics() is called once")
    if path is not None and app.handler is not None:
        raise ValueError(f"path is {path!r}, but {app!r} has no routes: it has one handler; set up with path=None")
    if path is not None and place.has_router:
        raise RuntimeError("setup_metrics() comes too late: call it before routes are added, or with path=None")
    place.metrics = Metrics(registry, path, find_families(registry, namespace, buckets), exemplar)
    return place.metrics


def is_shared() -> bool:
    """Whether several processes share their values: prometheus-client's multiprocess mode."""
    return any(name in os.environ for name in _SHARED_VARIABLES)
