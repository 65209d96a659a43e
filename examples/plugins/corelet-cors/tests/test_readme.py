"""The README's program does what the README says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


async def test_the_readmes_program_lets_pages_in(client_for: Any) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(program, namespace)
    client = await client_for(namespace["app"])
    shop = {"Origin": "https://eu.shop.example"}
    announced = shop | {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    assert (await client.options("/account", headers=announced)).status == 204
    answer = await client.put("/account", headers=shop)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://eu.shop.example"
    assert (await client.get("/weather")).headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Origin" not in (await client.get("/admin", headers=shop)).headers
