"""The README's program does what the README says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


async def test_the_readmes_program_shows_pages(client_for: Any) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(program, namespace)
    client = await client_for(namespace["app"])
    text = await (await client.get("/users/ann")).text()
    assert "<title>ann</title>" in text
    assert '<a href="/users/ann">ann</a> of Books &amp; more' in text
    assert (await client.get("/missing")).status == 404
