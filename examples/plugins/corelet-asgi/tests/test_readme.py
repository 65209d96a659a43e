"""The README's program does what the README says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


async def test_the_readmes_program_answers_as_one(client_for: Any) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(program, namespace)
    client = await client_for(namespace["app"])
    assert await (await client.get("/")).text() == "hello from corelet"
    url = str(client.make_url("/legacy/users/7"))
    assert await (await client.get("/legacy/users/3")).json() == {"id": "3", "url": url}
