"""Fuzz the request parsers of both wires against each other; ``run.py`` sets up what this needs."""

from __future__ import annotations

from tests.fuzz.target import fuzz

fuzz(is_response=False)
