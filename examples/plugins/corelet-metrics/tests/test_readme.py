"""The README's program does what the README says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


async def test_the_readmes_program_is_counted(client_for: Any) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(program, namespace)
    client = await client_for(namespace["app"])
    assert (await client.get("/users/1")).status == 200
    text = await (await client.get("/metrics")).text()
    for name in re.findall(r"^\| (`http.*?) \|", readme, re.MULTILINE):
        for metric in re.findall(r"`(\w+)`", name):
            assert f"# HELP {metric} " in text
    assert 'http_requests_total{method="GET",route="/users/{id}",status="200"} 1.0' in text
