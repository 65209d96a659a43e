"""Serve the chat: ``make run``, or ``python -m examples.chat`` from the repository's root."""

from __future__ import annotations

import os

from corelet import web

from .app import make_app
from .settings import read_settings

if __name__ == "__main__":
    web.run_app(
        make_app(read_settings(os.environ)),
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8080")),
    )
