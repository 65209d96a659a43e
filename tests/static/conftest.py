from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import corelet_routing.plugin
import corelet_static.plugin
from corelet import web
from tests.conftest import Connect, Serve
from tests.raw_client import Answer
from tests.static.tree import make_tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a directory of static files."""
    return make_tree(tmp_path)


@pytest.fixture
def make_app() -> Callable[..., web.Application]:
    """Give what makes an application that serves a directory below ``/static``."""

    def make(directory: Path, prefix: str = "/static", **kwargs: Any) -> web.Application:
        app = web.Application(plugins=[corelet_routing.plugin, corelet_static.plugin])
        app.router.add_static(prefix, directory, **kwargs)
        return app

    return make


@pytest.fixture
def get(serve: Serve, connect: Connect) -> Callable[..., Awaitable[Answer]]:
    """Give what asks an application, or a handler, for one path."""
    served: dict[int, Any] = {}

    async def ask(app: Any, target: str = "/", fields: str = "", method: str = "GET", **kwargs: Any) -> Answer:
        if id(app) not in served:
            served[id(app)] = (app, await serve(app, **kwargs))
        client = await connect(served[id(app)][1])
        return await client.get(target, method=method, fields=fields)

    return ask
