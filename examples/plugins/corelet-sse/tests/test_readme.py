"""The README's program does what the README says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


async def test_the_readmes_program_counts_on(client_for: Any) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(program, namespace)
    client = await client_for(namespace["app"])
    async with client.get("/count", headers={"Last-Event-ID": "41"}) as response:
        lines = [await response.content.readline() for _ in range(5)]
    assert b"".join(lines) == b"id: 42\ndata: this is number 42\n\nid: 43\ndata: this is number 43\n"
