"""What is counted: the metric families of one registry and namespace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

_BY_ROUTE: Final = ("method", "route")

_MetricT = TypeVar("_MetricT", Counter, Gauge, Histogram, Summary)


class Families:
    """The metric families. Made by :func:`find_families`.

    Args:
        registry: where they are registered.
        namespace: what their names begin with.
        buckets: upper bounds of durations, in seconds.

    Raises:
        ValueError: the registry has metrics of these names that are somebody else's, or the buckets make no sense.
    """

    def __init__(self, registry: CollectorRegistry, namespace: str, buckets: Sequence[float]) -> None:
        self.buckets: Final = tuple(buckets)
        self.requests: Final = Counter(
            "requests", "Requests answered.", (*_BY_ROUTE, "status"), namespace=namespace, registry=registry
        )
        self.durations: Final = Histogram(
            "request_duration_seconds",
            "Time from the head of a request to the end of its answer; upgraded connections are left out.",
            _BY_ROUTE,
            namespace=namespace,
            registry=registry,
            buckets=self.buckets,
        )
        self.request_sizes: Final = Summary(
            "request_size_bytes", "Bodies received, as sent.", _BY_ROUTE, namespace=namespace, registry=registry
        )
        self.response_sizes: Final = Summary(
            "response_size_bytes", "Bodies sent, before coding.", _BY_ROUTE, namespace=namespace, registry=registry
        )
        # Of several processes those count that live.
        self.in_progress: Final = Gauge(
            "requests_in_progress",
            "Requests being answered.",
            ("method",),
            namespace=namespace,
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.connections: Final = Gauge(
            "connections", "Open connections.", namespace=namespace, registry=registry, multiprocess_mode="livesum"
        )
        self.refused: Final = Counter(
            "refused",
            "Peers refused without a request: bytes that were none, or no place for a connection.",
            ("status",),
            namespace=namespace,
            registry=registry,
        )


class Children(dict[tuple[str, ...], _MetricT]):
    """The metrics of one family by their labels: each is asked for once, since ``labels()`` costs more than counting.

    Args:
        family: the family.
    """

    def __init__(self, family: _MetricT) -> None:
        super().__init__()
        self._family: _MetricT = family

    def __missing__(self, labels: tuple[str, ...]) -> _MetricT:
        child: _MetricT = self._family.labels(*labels)
        self[labels] = child
        return child


_FAMILIES: Final[WeakKeyDictionary[CollectorRegistry, dict[str, Families]]] = WeakKeyDictionary()


def find_families(registry: CollectorRegistry, namespace: str, buckets: Sequence[float]) -> Families:
    """Find the families of a registry and a namespace; they are made for the first application.

    Raises:
        ValueError: as :class:`Families`; or they were made with other buckets.
    """
    by_namespace = _FAMILIES.setdefault(registry, {})
    if namespace not in by_namespace:
        by_namespace[namespace] = Families(registry, namespace, buckets)
    families = by_namespace[namespace]
    if families.buckets != tuple(buckets):
        raise ValueError(
            f"buckets are {tuple(buckets)}, but another application counts into {namespace!r} of this registry by "
            f"{families.buckets}: give the same, or another namespace"
        )
    return families
