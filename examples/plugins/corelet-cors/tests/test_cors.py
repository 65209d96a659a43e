"""Answers to pages of other origins, as a browser asks."""

from __future__ import annotations

from typing import Any, Final

import pytest

from corelet import web
from corelet_cors import CorsPolicy, cors, setup_cors

PAGE: Final = "https://page.example"
STRANGER: Final = "https://stranger.example"
PUBLIC: Final = CorsPolicy("*", expose_headers="*", max_age=None)
CLOSED: Final = CorsPolicy([PAGE], credentials=True, headers=["Content-Type", "X-Token"], expose_headers=["X-Version"])


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def fail(request: web.Request) -> web.Response:
    raise LookupError("a fault")


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Vary": "Accept"})
    await response.prepare(request)
    return response


class Notes(web.View):
    async def put(self) -> web.Response:
        return web.Response(text="noted")


def get_fields(response: Any) -> dict[str, str]:
    """Give the fields of the CORS protocol, without their prefix, and Vary."""
    wanted = ("access-control-", "vary")
    return {
        name.removeprefix("Access-Control-"): ", ".join(response.headers.getall(name))
        for name in response.headers
        if name.lower().startswith(wanted)
    }


def preflight(method: str, origin: str = PAGE, **fields: str) -> dict[str, str]:
    return {"Origin": origin, "Access-Control-Request-Method": method} | {
        f"Access-Control-Request-{name.replace('_', '-')}": value for name, value in fields.items()
    }


async def test_answers_to_a_page_say_who_may_read_them(client_for: Any) -> None:
    app = web.Application()
    setup_cors(app, CLOSED)
    app.add_routes([web.get("/", hello), web.get("/stream", stream)])
    client = await client_for(app)
    allowed = {"Allow-Origin": PAGE, "Allow-Credentials": "true", "Expose-Headers": "X-Version", "Vary": "Origin"}
    assert get_fields(await client.get("/", headers={"Origin": PAGE})) == allowed
    assert get_fields(await client.get("/stream", headers={"Origin": PAGE})) == allowed | {"Vary": "Accept, Origin"}
    # A cache may have asked: the answer differs for others, though it says nothing to this one.
    assert get_fields(await client.get("/", headers={"Origin": STRANGER})) == {"Vary": "Origin"}
    assert get_fields(await client.get("/")) == {"Vary": "Origin"}


async def test_a_public_answer_is_the_same_for_everybody(client_for: Any) -> None:
    app = web.Application()
    setup_cors(app, PUBLIC)
    app.router.add_get("/", hello)
    client = await client_for(app)
    public = {"Allow-Origin": "*", "Expose-Headers": "*"}
    assert get_fields(await client.get("/", headers={"Origin": PAGE})) == get_fields(await client.get("/")) == public


async def test_errors_can_be_read_too(client_for: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def guard(request: web.Request, handler: Any) -> Any:
        if request.path == "/secret":
            raise web.HTTPUnauthorized
        return await handler(request)

    app = web.Application(middlewares=[guard])
    setup_cors(app, PUBLIC)
    app.add_routes([web.get("/", hello), web.get("/fail", fail), web.put("/secret", hello)])
    client = await client_for(app)
    for method, path, status in (
        ("GET", "/fail", 500), ("GET", "/none", 404), ("PUT", "/", 405), ("GET", "/secret", 401),
    ):  # fmt: skip
        response = await client.request(method, path, headers={"Origin": PAGE})
        assert response.status == status
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "a fault" in caplog.text
    # Preflights have no credentials: what asks for them must not see preflights.
    response = await client.options("/secret", headers=preflight("PUT"))
    assert response.status == 204


async def test_preflights_are_answered_for_any_resource(client_for: Any) -> None:
    app = web.Application()
    setup_cors(app, CLOSED)
    app.add_routes(
        [web.delete("/notes/{id}", hello), web.view("/view", Notes), web.options("/own", hello), web.put("/own", hello)]
    )
    client = await client_for(app)
    for path, method in (("/notes/7", "DELETE"), ("/view", "PUT"), ("/own", "PUT")):
        headers = preflight(method, Headers="content-type,x-token")
        response = await client.options(path, headers=headers)
        assert response.status == 204
        assert get_fields(response) == {
            "Allow-Origin": PAGE,
            "Allow-Credentials": "true",
            "Allow-Methods": method,
            "Allow-Headers": "content-type, x-token",
            "Max-Age": "600",
            "Vary": "Origin",
        }
    # Names of fields have no case: HTTP/2 gateways write them small.
    small = {name.lower(): value for name, value in preflight("DELETE").items()}
    assert (await client.options("/notes/7", headers=small)).status == 204
    # Neither is a preflight: one has no Origin, the other announces nothing.
    assert (await client.options("/own", headers={"Access-Control-Request-Method": "PUT"})).status == 200
    assert (await client.options("/notes/7", headers={"Origin": PAGE})).status == 405


@pytest.mark.parametrize(
    ("path", "headers", "status", "reason"),
    [
        ("/", preflight("PUT", STRANGER), 403, f"pages of '{STRANGER}' may not ask"),
        ("/", preflight("PATCH"), 403, "pages may not use the method 'PATCH'"),
        ("/", preflight("PUT", Headers="x-token, x-other"), 403, "pages may not send the fields 'x-other'"),
        ("/", preflight("PUT", Private_Network="true"), 403, "pages of public networks may not ask"),
        ("/", preflight("put"), 405, ""),
        ("/", preflight("MOVE"), 405, ""),
        ("/none", preflight("GET"), 404, ""),
    ],
)
async def test_a_preflight_for_what_may_not_be_is_refused(
    client_for: Any, path: str, headers: dict[str, str], status: int, reason: str
) -> None:
    app = web.Application()
    setup_cors(app, CorsPolicy([PAGE], methods=["PUT", "DELETE"], headers=["X-Token"]))
    app.add_routes([web.put("/", hello), web.patch("/", hello)])
    response = await (await client_for(app)).options(path, headers=headers)
    assert response.status == status
    assert reason in await response.text()
    assert get_fields(response) == ({"Vary": "Origin"} if status == 403 else {})
    # A simple method needs no leave, though a field may have brought the preflight.
    app = web.Application()
    setup_cors(app, CorsPolicy("*", methods=["PUT"], headers="*", private_network=True))
    app.router.add_post("/", hello)
    simple = preflight("POST", Headers="x-any", Private_Network="true")
    response = await (await client_for(app)).options("/", headers=simple)
    assert get_fields(response) == {
        "Allow-Origin": "*", "Allow-Methods": "PUT", "Allow-Headers": "x-any", "Max-Age": "600",
        "Allow-Private-Network": "true",
    }  # fmt: skip


async def test_the_narrowest_policy_counts(client_for: Any) -> None:
    @cors(PUBLIC)
    async def public(request: web.Request) -> web.Response:
        return web.Response()

    @cors(None)
    async def private(request: web.Request) -> web.Response:
        return web.Response()

    app, inner, bare = web.Application(), web.Application(), web.Application()
    policies = setup_cors(app, CLOSED)
    setup_cors(inner, CorsPolicy([STRANGER]))
    routes = [web.get("/", hello), web.get("/public", public), web.put("/public", hello), web.get("/private", private)]
    for each in (app, inner, bare):
        each.add_routes(routes)
    resource = app.router.add_resource("/resource")
    resource.add_route("GET", hello)
    policies.add(resource, PUBLIC)
    policies.add(resource.add_route("PUT", public), None)
    app.add_subapp("/inner", inner)
    app.add_subapp("/bare", bare)
    client = await client_for(app)

    async def ask(method: str, path: str) -> list[str | None]:
        """Ask as both pages do, with a preflight; who may, in the preflight's answer and in the answer's."""
        found = []
        for origin in (PAGE, STRANGER):
            asked = await client.options(path, headers=preflight(method, origin))
            answered = await client.request(method, path, headers={"Origin": origin})
            assert answered.status == 200
            found.append(answered.headers.get("Access-Control-Allow-Origin"))
            assert asked.headers.get("Access-Control-Allow-Origin") == found[-1]
        return found

    for prefix in ("", "/bare"):
        assert await ask("GET", f"{prefix}/") == [PAGE, None]
        assert await ask("GET", f"{prefix}/public") == ["*", "*"]
        assert await ask("PUT", f"{prefix}/public") == [PAGE, None]
        assert await ask("GET", f"{prefix}/private") == [None, None]
    assert await ask("GET", "/inner/") == [None, STRANGER]
    assert await ask("GET", "/inner/public") == ["*", "*"]
    assert await ask("GET", "/resource") == ["*", "*"]
    assert await ask("PUT", "/resource") == [None, None]


@pytest.mark.parametrize("method", ["", "a b", "PUT, DELETE", "PUT\xe4"])
async def test_what_is_no_method_is_not_repeated(client_for: Any, method: str) -> None:
    app = web.Application()
    setup_cors(app, CLOSED)
    app.router.add_route("*", "/", hello)
    response = await (await client_for(app)).options("/", headers=preflight(method))
    assert (response.status, get_fields(response)) == (403, {"Vary": "Origin"})


async def test_an_application_with_one_handler_has_its_policy(client_for: Any) -> None:
    app = web.Application(handler=hello)
    setup_cors(app, CLOSED)
    client = await client_for(app)
    response = await client.options("/any", headers=preflight("PATCH"))
    assert (response.status, response.headers["Access-Control-Allow-Methods"]) == (204, "PATCH")
    assert get_fields(await client.get("/", headers={"Origin": PAGE}))["Allow-Origin"] == PAGE


async def test_an_application_without_policies_is_left_alone(client_for: Any) -> None:
    app = web.Application()
    app.router.add_get("/", hello)
    client = await client_for(app)
    assert app.pipeline.prepare_response is None
    assert (await client.options("/", headers=preflight("GET"))).status == 405


async def test_a_websocket_is_no_affair_of_cors(client_for: Any) -> None:
    async def talk(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        assert "Access-Control-Allow-Origin" not in ws.headers
        return ws

    app = web.Application()
    setup_cors(app, PUBLIC)
    app.router.add_get("/", talk)
    async with (await client_for(app)).ws_connect("/", origin=PAGE) as ws:
        await ws.close()


def test_a_setup_that_would_do_nothing_is_refused() -> None:
    app = web.Application()
    policies = setup_cors(app)
    with pytest.raises(RuntimeError, match="has policies already"):
        setup_cors(app, PUBLIC)
    with pytest.raises(RuntimeError, match="without the plugin corelet-cors"):
        setup_cors(web.Application(plugins=["routing"]), PUBLIC)
    route = app.router.add_get("/", hello)
    policies.add(route, PUBLIC)
    with pytest.raises(ValueError, match="has a policy already"):
        policies.add(route, None)
    with pytest.raises(TypeError, match="neither a route nor a resource"):
        policies.add(hello, PUBLIC)  # type: ignore[arg-type]
