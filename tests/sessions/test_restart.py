"""A server of sessions that is killed and started again while it is at work."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator

import pytest

from corelet import web
from tests.conftest import Connect, Serve
from tests.sessions.conftest import Browser, Program, make_memcached, make_redis


@pytest.fixture(params=["redis", "memcached"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    made = make_redis(tmp_path_factory.mktemp("restarted")) if request.param == "redis" else make_memcached()
    yield made
    made.kill()


async def count(request: web.Request) -> web.Response:
    session = await web.get_session(request)
    session["count"] = session.get("count", 0) + 1
    return web.Response(text=str(session["count"]))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # emcache leaves a broken stream behind
async def test_killed_server_is_503_and_sessions_go_on_when_it_is_back(
    serve: Serve, connect: Connect, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight browsers count without a pause; they see 200 or 503 and nothing else, and Redis loses no count."""
    # Whether a session is being saved at that moment is up to chance.
    monkeypatch.setattr(logging.getLogger("corelet.sessions"), "disabled", True)
    app = web.Application()
    is_redis = "redis" in program.name
    web.setup_sessions(app, f"{'redis' if is_redis else 'memcached'}://127.0.0.1:{program.port}")
    app.router.add_get("/", count)
    served = await serve(app)
    browsers = [Browser(served, connect) for _ in range(8)]
    last = dict.fromkeys(range(8), 0)
    stage = "up"
    seen: dict[str, Counter[int]] = {name: Counter() for name in ("up", "down", "back", "end")}

    async def load(number: int) -> None:
        while stage != "end":
            answer = await browsers[number].get("/")
            seen[stage][answer.status] += 1
            if answer.status == 200:
                assert not is_redis or int(answer.text) > last[number]
                last[number] = int(answer.text)
            await asyncio.sleep(0.002)

    async def wait_for(wanted_stage: str, status: int, times: int) -> None:
        async with asyncio.timeout(20):
            while seen[wanted_stage][status] < times:  # noqa: ASYNC110 -- what is waited for is a count of another task
                await asyncio.sleep(0.01)

    loading = [asyncio.ensure_future(load(number)) for number in range(8)]
    await wait_for("up", 200, 40)
    program.kill()
    stage = "down"
    await wait_for("down", 503, 16)
    await asyncio.to_thread(program.start)
    stage = "back"
    await wait_for("back", 200, 40)
    stage = "end"
    await asyncio.gather(*loading)

    assert set(seen["up"]) == {200}
    assert {status for counted in seen.values() for status in counted} == {200, 503}
    assert min(last.values()) > 0
