"""Jinja templates for corelet."""

from __future__ import annotations

from .environment import ContextProcessor, get_environment, setup_jinja2
from .rendering import render_template, render_text, stream_template, template

__all__ = [
    "ContextProcessor",
    "get_environment",
    "render_template",
    "render_text",
    "setup_jinja2",
    "stream_template",
    "template",
]
