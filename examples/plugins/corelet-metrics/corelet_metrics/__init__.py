"""Prometheus metrics for corelet: requests and latencies by route, and a page for the scraper."""

from __future__ import annotations

from .metrics import Metrics, setup_metrics

__all__ = ["Metrics", "setup_metrics"]
