"""The README's program does what the README says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(("seen", "first", "second"), [("41", b"42", b"43"), ("made up", b"1", b"2")])
async def test_the_readmes_program_counts_on(client_for: Any, seen: str, first: bytes, second: bytes) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(program, namespace)
    client = await client_for(namespace["app"])
    async with client.get("/count", headers={"Last-Event-ID": seen}) as response:
        lines = [await response.content.readline() for _ in range(5)]
    expected = b"id: %b\ndata: this is number %b\n\nid: %b\ndata: this is number %b\n"
    assert b"".join(lines) == expected % (first, first, second, second)
