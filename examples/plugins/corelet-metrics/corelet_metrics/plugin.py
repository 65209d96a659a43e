"""The metrics plugin: watches the applications that ask for it, and gives them their page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from corelet import hookimpl, web

from .instrument import RequestInstrument
from .metrics import METRICS_PLACE, MetricsPlace


@hookimpl
def corelet_configure(app: web.Application) -> None:
    """Give the application a place for its metrics; empty until ``setup_metrics``."""
    app[METRICS_PLACE] = MetricsPlace()


@hookimpl(optionalhook=True)
def corelet_routing_routes(app: web.Application) -> list[web.AbstractRouteDef] | None:
    """Give the application its page, where it has asked for one before it had a router."""
    return app[METRICS_PLACE].take_routes()


@hookimpl
def corelet_instrument(app: web.Application) -> RequestInstrument | None:
    """Watch the requests of an application that has asked for it."""
    metrics = app[METRICS_PLACE].metrics
    return None if metrics is None else RequestInstrument(metrics.families, metrics.exemplar)


@hookimpl
@asynccontextmanager
async def corelet_lifespan(app: web.Application) -> AsyncIterator[None]:
    """Check that the metrics will be seen; in multiprocess mode say at the end that this process is gone."""
    place = app[METRICS_PLACE]
    place.check(app)
    yield
    if place.metrics is not None:
        place.metrics.end_process()


@hookimpl
def corelet_report(app: web.Application) -> list[str]:
    """Tell where the metrics are."""
    metrics = app[METRICS_PLACE].metrics
    return ["not set up here"] if metrics is None else [metrics.describe()]
