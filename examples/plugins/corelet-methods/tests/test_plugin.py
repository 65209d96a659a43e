"""The plugin: its hook, its names, and its place beside corelet-routing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import corelet_methods
from corelet import PluginConflictError, web
from corelet.test_utils import assert_exports, assert_hooks


def test_it_has_one_hook_and_three_names() -> None:
    assert_hooks("methods", "corelet_make_router")
    assert_exports(
        "corelet-methods",
        {f"web.{name}": getattr(corelet_methods, name) for name in ("MethodMatch", "MethodRoute", "MethodRouter")},
    )


def test_two_routers_are_a_conflict_that_says_what_to_do() -> None:
    app = web.Application(plugins=["methods", "routing"])
    with pytest.raises(PluginConflictError, match=r"methods.* and routing.* claim it; CORELET_BLOCK=methods or"):
        app.router.get("/", None)


async def test_the_readmes_program_does_what_the_readme_says(client_for: Any) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(program, namespace)
    client = await client_for(namespace["app"])
    for path, user in (("/users/ann", "ann"), ("/users/me", "you")):
        async with client.get(path) as answer:
            assert await answer.json() == {"user": user}
    for method, path, status in (("POST", "/users", 201), ("GET", "/start", 200), ("GET", "/users", 405)):
        async with client.request(method, path) as answer:
            assert answer.status == status
