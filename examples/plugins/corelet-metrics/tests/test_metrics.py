"""What a scraper reads after requests of all kinds."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from corelet import ClientPayloadError, web
from corelet_metrics import setup_metrics


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), status=201)


async def fail(request: web.Request) -> web.Response:
    raise LookupError("a fault")


async def cut(request: web.Request) -> web.Response:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"12345")
    await response.drain()
    raise LookupError("no more")


async def talk(request: web.Request) -> web.StreamResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    await ws.receive()
    return ws


def make_app(registry: CollectorRegistry, **options: Any) -> web.Application:
    app = web.Application()
    setup_metrics(app, registry=registry, **options)
    inner = web.Application()
    inner.router.add_get("/{name}", echo)
    app.router.add_routes(
        [web.route("*", "/users/{id}", echo), web.get("/fail", fail), web.get("/cut", cut), web.get("/talk", talk)]
    )
    app.router.add_route("PURGE", "/cache", echo)
    app.add_subapp("/inner", inner)
    app.add_subapp("/any", web.Application(handler=echo))
    return app


def read(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


async def read_settled(registry: CollectorRegistry, count: int) -> dict[tuple[str, str, str], float]:
    """Read the counts of requests, once there are so many."""
    for _ in range(200):
        counts = {
            (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
            for family in registry.collect()
            for sample in family.samples
            if sample.name == "http_requests_total"
        }
        if sum(counts.values()) >= count:
            break
        await asyncio.sleep(0.01)
    return counts


async def test_requests_are_counted_by_pattern_whatever_peers_make_up(client_for: Any, registry: Any) -> None:
    client = await client_for(make_app(registry))
    for path in ("/users/1", "/users/2", "/inner/a", "/any/a/b", "/nowhere/1", "/nowhere/2"):
        await (await client.post(path, data=b"abc") if "users" in path else await client.get(path)).read()
    await (await client.request("PURGE", "/cache")).read()
    for method in ("MADEUP", "INVENTED"):
        await (await client.request(method, "/users/3")).read()
    assert await read_settled(registry, 9) == {
        ("POST", "/users/{id}", "201"): 2,
        ("GET", "/inner/{name}", "201"): 1,
        ("GET", "/any/*", "201"): 1,
        ("GET", "unmatched", "404"): 2,
        ("PURGE", "/cache", "201"): 1,
        ("other", "/users/{id}", "201"): 2,
    }
    by_route = {"method": "POST", "route": "/users/{id}"}
    assert read(registry, "http_request_size_bytes_sum", **by_route) == 6
    assert read(registry, "http_response_size_bytes_sum", **by_route) == 6
    assert read(registry, "http_request_duration_seconds_count", **by_route) == 2
    assert read(registry, "http_request_duration_seconds_bucket", **by_route, le="+Inf") == 2


async def test_faults_and_cut_answers_are_counted(
    client_for: Any, registry: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = await client_for(make_app(registry))
    with pytest.raises(ClientPayloadError):
        await (await client.get("/cut")).read()
    assert (await client.get("/fail")).status == 500
    assert await read_settled(registry, 2) == {("GET", "/fail", "500"): 1, ("GET", "/cut", "aborted"): 1}
    assert read(registry, "http_response_size_bytes_sum", method="GET", route="/cut") == 5
    assert "no more" in caplog.text


async def test_what_is_open_now_is_seen_while_it_lasts(client_for: Any, registry: Any) -> None:
    client = await client_for(make_app(registry))
    async with client.ws_connect("/talk") as ws:
        assert read(registry, "http_requests_in_progress", method="GET") == 1
        assert read(registry, "http_connections") == 1
        await ws.close()
    assert await read_settled(registry, 1) == {("GET", "/talk", "101"): 1}
    assert read(registry, "http_requests_in_progress", method="GET") == 0
    # How long a WebSocket was open says nothing of how fast the server is.
    assert read(registry, "http_request_duration_seconds_count", method="GET", route="/talk") is None
    await client.close()
    assert read(registry, "http_connections") == 0


async def test_bytes_that_are_no_request_are_counted(server_for: Any, registry: Any) -> None:
    server = await server_for(make_app(registry))
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"nonsense\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()
    await writer.wait_closed()
    assert read(registry, "http_refused_total", status="400") == 1


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0, text/plain;q=0.5", "application/openmetrics-text"),
    ],
)
async def test_the_page_is_written_as_the_scraper_likes(
    client_for: Any, registry: Any, accept: str | None, expected: str
) -> None:
    client = await client_for(make_app(registry, exemplar=lambda request: {"trace_id": request.match_info["id"]}))
    await client.get("/users/7")
    await read_settled(registry, 1)
    response = await client.get("/metrics", headers={} if accept is None else {"Accept": accept})
    text = await response.text()
    assert response.headers["Content-Type"].startswith(expected)
    assert response.headers["Content-Encoding"] in ("zstd", "br", "gzip", "deflate")
    assert ('# {trace_id="7"}' in text) is text.endswith("# EOF\n") is (accept is not None)
    chosen = await client.get("/metrics", params={"name[]": "http_requests_total"})
    families = list(text_string_to_metric_families(await chosen.text()))
    assert [family.name for family in families] == ["http_requests"]


async def test_counting_goes_on_whatever_an_exemplar_is(
    client_for: Any, registry: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = await client_for(make_app(registry, exemplar=lambda request: {"trace_id": request.headers["Trace"]}))
    traces = ["7", "", "x" * 500, None]  # OpenMetrics has room for 128 characters; without the field it raises
    for trace in traces:
        await client.get("/users/7", headers={} if trace is None else {"Trace": trace})
    await client.get("/users/8", headers={"Trace": "8"})
    assert await read_settled(registry, 5) == {("GET", "/users/{id}", "201"): 5}
    assert read(registry, "http_request_duration_seconds_count", method="GET", route="/users/{id}") == 5
    assert caplog.text.count("has no exemplar") == 1
    assert "KeyError" in caplog.text


async def test_the_page_may_be_elsewhere(client_for: Any, registry: Any) -> None:
    app = web.Application(handler=echo)
    metrics = setup_metrics(app, path=None, registry=registry, namespace="shop")
    client = await client_for(app)
    await client.get("/any/path")
    for _ in range(100):
        if read(registry, "shop_requests_total", method="GET", route="*", status="201"):
            break
        await asyncio.sleep(0.01)
    page = await client_for(web.Application(handler=metrics.handle))
    assert 'shop_requests_total{method="GET",route="*",status="201"} 1.0' in await (await page.get("/")).text()


async def test_applications_with_one_registry_count_together(client_for: Any, registry: Any) -> None:
    for _ in range(2):
        await (await client_for(make_app(registry))).get("/users/1")
    assert await read_settled(registry, 2) == {("GET", "/users/{id}", "201"): 2}
    with pytest.raises(ValueError, match="another application counts into 'http'"):
        setup_metrics(web.Application(), registry=registry, buckets=[1.0])


async def test_an_application_that_has_not_asked_is_left_alone(client_for: Any) -> None:
    app = web.Application(handler=echo)
    await client_for(app)
    assert app.pipeline.request_started is app.pipeline.request_finished is None


def test_what_would_count_nothing_is_refused(registry: CollectorRegistry) -> None:
    app = web.Application()
    app.router.add_get("/", echo)
    with pytest.raises(RuntimeError, match="comes too late: call it before routes are added"):
        setup_metrics(app, registry=registry)
    with pytest.raises(RuntimeError, match="without the plugin corelet-metrics"):
        setup_metrics(web.Application(plugins=["routing"]), registry=registry)
    with pytest.raises(ValueError, match="it has one handler"):
        setup_metrics(web.Application(handler=echo), registry=registry)
    twice = make_app(registry)
    with pytest.raises(RuntimeError, match="has metrics already"):
        setup_metrics(twice, registry=registry)
    taken = CollectorRegistry()
    Counter("http_requests", "somebody else's", registry=taken)
    with pytest.raises(ValueError, match="Duplicated"):
        setup_metrics(web.Application(), registry=taken)


async def test_an_application_of_nothing_but_a_page_has_it(client_for: Any, registry: Any) -> None:
    app = web.Application()
    setup_metrics(app, registry=registry, path="/status/metrics")
    assert (await (await client_for(app)).get("/status/metrics")).status == 200


async def test_what_nobody_would_see_does_not_start(registry: CollectorRegistry) -> None:
    class Router(web.UrlDispatcher):
        def post_init(self, app: web.Application) -> None:
            """Ask nobody for routes."""

    deaf = web.Application(router=Router())
    setup_metrics(deaf, registry=registry)
    with pytest.raises(RuntimeError, match="takes no routes of plugins"):
        await deaf.startup()
    inner, outer = make_app(registry), web.Application()
    outer.add_subapp("/inner", inner)
    with pytest.raises(RuntimeError, match="set up that one"):
        await outer.startup()


MULTIPROCESS = """
import asyncio, os, sys
from corelet import web
from corelet.test_utils import TestClient, TestServer
from corelet_metrics import setup_metrics

async def hello(request):
    return web.Response()

async def main():
    app = web.Application()
    metrics = setup_metrics(app)
    app.router.add_get("/", hello)
    async with TestClient(TestServer(app)) as client:
        await client.get("/")
        text = await (await client.get("/metrics")).text()
    print(text)

asyncio.run(main())
"""


def test_several_processes_answer_for_all(tmp_path: Any) -> None:
    pages = [
        subprocess.run(
            [sys.executable, "-c", MULTIPROCESS],
            env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout
        for _ in range(2)
    ]  # fmt: skip
    assert 'http_requests_total{method="GET",route="/",status="200"} 1.0' in pages[0]
    assert 'http_requests_total{method="GET",route="/",status="200"} 2.0' in pages[1]
    # The first process has ended, and says so: its gauges don't count.
    assert "http_connections 1.0" in pages[1]
    assert not list(tmp_path.glob("gauge_live*"))
