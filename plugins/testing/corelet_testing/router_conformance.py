"""What every router must do, as tests that its author runs."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Final

from corelet import hookimpl, web
from corelet.abc import AbstractMatchInfo, AbstractRouter, Handler

from .conformance import Conformance
from .mocked_request import make_mocked_request

#: Methods that a path is asked for; RFC 9110 section 9, RFC 5789, and one that the kernel knows nothing of.
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")
#: What peers send to see whether something breaks.
_HOSTILE_PATHS: Final = (
    "//",
    "/%ff%fe",
    "/%01",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/../users",
    "/users;a=b",
    "/users/" + "a" * 7000,
    "/" + "a/" * 3500,
    "/%E2%80%AE",
    "/{users}",
    "/users%2F",
    "/users%0d%0aX:1",
)


class RouterConformance(Conformance):
    """Test a router: ``abc.AbstractRouter``, and the match infos that it gives.

    Each test makes a router, adds routes for paths without variables, and asks for them, by itself and in a served
    application. Where routes are added otherwise than by ``add_route(method, path, handler)``, override
    :meth:`add_route`.
    """

    port = "a router"

    @abstractmethod
    def make_router(self) -> AbstractRouter:
        """Make a router without routes, which no application has yet."""

    def add_route(self, router: Any, method: str, path: str, handler: Handler) -> None:
        """Add a route to a router of :meth:`make_router`."""
        router.add_route(method, path, handler)

    def make_app(self, *routes: tuple[str, str, Handler], **kwargs: Any) -> web.Application:
        """Make an application that has a new router with some routes; keywords are the application's."""
        router = self.make_router()
        app = web.Application(router=router, **{"plugins": [], **kwargs})
        for method, path, handler in routes:
            self.add_route(router, method, path, handler)
        return app

    async def find_match(self, app: web.Application, method: str, path: str) -> AbstractMatchInfo:
        """Ask the router of an application as the kernel does: find(), and resolve() where that gives None."""
        return await self._route(app, make_mocked_request(method, path, app=app))

    async def _route(self, app: web.Application, request: web.Request) -> AbstractMatchInfo:
        found: AbstractMatchInfo | None = app.router.find(request)
        if found is None:
            found = await app.router.resolve(request)
        self.expect(isinstance(found, AbstractMatchInfo), "a router gives an AbstractMatchInfo", found)
        assert found is not None
        request.match_info = found
        return found

    async def test_method_and_path_choose_the_handler(self) -> None:
        """Each route answers what it was added for; the query is no part of the path."""
        routes = [("GET", "/"), ("GET", "/users"), ("POST", "/users"), ("GET", "/users/list"), ("GET", "/usersx")]
        app = self.make_app(*((method, path, _say(f"{method} {path}")) for method, path in routes))
        async with self.serve(app) as client:
            for method, path in routes:
                for query in ("", "?page=2&x=/users"):
                    async with client.request(method, path + query) as answer:
                        self.expect_equal(
                            (answer.status, await answer.text()),
                            (200, f"{method} {path}"),
                            f"the handler added for {method} {path} answers {method} {path + query}",
                        )

    async def test_the_normalised_path_is_matched(self) -> None:
        """A router goes by ``request.match_path``: percent-encoded letters are the letters. RFC 3986 section 6.2.2."""
        app = self.make_app(("GET", "/users", _say("users")))
        app.freeze()
        match = await self.find_match(app, "GET", "/%75s%65rs")
        self.expect(match.http_exception is None, "/%75s%65rs is /users", match.http_exception)

    async def test_only_the_whole_path_matches(self) -> None:
        """What a path begins or ends with is another path."""
        app = self.make_app(("GET", "/users", _say("users")), ("GET", "/users/list", _say("list")))
        app.freeze()
        for path in ("/", "/user", "/usersx", "/users/7", "/users/lists", "/users/list/7", "/x/users", "/x/users/list"):
            match = await self.find_match(app, "GET", path)
            status = getattr(match.http_exception, "status", None)
            self.expect_equal(status, 404, f"{path} is neither /users nor /users/list, and is 404")

    async def test_a_match_is_whole(self) -> None:
        """The match has the handler as it was added, the application, and no error."""
        handler = _say("hello")
        app = self.make_app(("GET", "/users", handler))
        app.freeze()
        match = await self.find_match(app, "GET", "/users")
        self.expect(match.handler is handler, "handler is what was added, without middlewares", match.handler)
        self.expect_equal(match.http_exception, None, "http_exception is None where something matched")
        self.expect_equal(match.apps, (app,), "apps has the application that the router was made for")
        self.expect(match.current_app is app, "current_app is the innermost application", match.current_app)
        self.expect(
            match.expect_handler is None or callable(match.expect_handler),
            "expect_handler is None or a coroutine function",
            match.expect_handler,
        )
        self.expect(isinstance(match.get_info(), dict), "get_info() gives a dict", match.get_info())

    async def test_a_route_is_one_object_for_all_its_requests(self) -> None:
        """The pipeline keeps one callable for each route."""
        app = self.make_app(("GET", "/users", _say("users")), ("GET", "/posts", _say("posts")))
        app.freeze()
        first, second = [(await self.find_match(app, "GET", "/users")).route for _ in range(2)]
        other = (await self.find_match(app, "GET", "/posts")).route
        self.expect(first is second, "the route is the same object for every request that it answers", (first, second))
        self.expect(first != other, "two routes differ", (first, other))
        self.expect(hash(first) == hash(second), "a route is hashable")
        routes = list(app.router.routes())
        for route in (first, other):
            self.expect(
                any(each is route for each in routes), "routes() has every route, so that plugins can wrap it", routes
            )
            if hasattr(route, "get_info"):
                self.expect(isinstance(route.get_info(), dict), "a route's get_info() gives a dict", route.get_info())

    async def test_every_request_has_a_match_of_its_own(self) -> None:
        """Requests run beside each other: what is set in one match changes no other."""
        app = self.make_app(("GET", "/users", _say("users")))
        app.freeze()
        outer = web.Application(handler=_say("outer"), plugins=[])
        for path in ("/users", "/nothing"):
            first, second = [await self.find_match(app, "GET", path) for _ in range(2)]
            first.add_app(outer)
            self.expect_equal(second.apps, (app,), f"two requests for {path} have matches of their own")
            first.current_app = outer
            self.expect(second.current_app is app, f"two requests for {path} have matches of their own")

    async def test_outer_applications_are_put_before(self) -> None:
        """``add_app`` is called by the routers around, from the inside out."""
        app = self.make_app(("GET", "/users", _say("users")))
        app.freeze()
        outer, outermost = [web.Application(handler=_say("outer"), plugins=[]) for _ in range(2)]
        for path in ("/users", "/nothing"):
            match = await self.find_match(app, "GET", path)
            match.add_app(outer)
            match.add_app(outermost)
            self.expect_equal(match.apps, (outermost, outer, app), "add_app() puts an application before the others")
            self.expect(match.current_app is app, "current_app is the innermost one unless set", match.current_app)
            match.current_app = outer
            self.expect(match.current_app is outer, "current_app can be set", match.current_app)

    async def test_find_and_resolve_agree(self) -> None:
        """Where find() gives a match, resolve() would give the same."""
        app = self.make_app(("GET", "/users", _say("users")), ("PUT", "/users", _say("put")))
        app.freeze()
        for method, path in [("GET", "/users"), ("PUT", "/users"), ("DELETE", "/users"), ("GET", "/nothing")]:
            found = app.router.find(make_mocked_request(method, path, app=app))
            if found is None:
                continue
            resolved = await app.router.resolve(make_mocked_request(method, path, app=app))
            self.expect_equal(_sum_up(found), _sum_up(resolved), f"find() and resolve() agree on {method} {path}")

    async def test_what_is_unknown_is_404_and_middlewares_see_it(self) -> None:
        """A router never raises for a request: the match has the error, and its handler raises it."""
        seen: list[Any] = []

        async def watch(request: web.Request, handler: Handler) -> Any:
            assert request.match_info is not None
            seen.append(request.match_info.http_exception)
            return await handler(request)

        app = self.make_app(("GET", "/users", _say("users")), middlewares=[watch])
        async with self.serve(app) as client, client.get("/nothing") as answer:
            self.expect_equal(answer.status, 404, "a path that nobody has is answered by 404")
        self.expect(
            len(seen) == 1 and getattr(seen[0], "status", None) == 404,
            "middlewares run for a 404, and find it in request.match_info.http_exception",
            seen,
        )
        request = make_mocked_request("GET", "/nothing", app=app)
        match = await self._route(app, request)
        with self.expect_error(web.HTTPNotFound, "the handler of a match without a route raises its http_exception"):
            await match.handler(request)

    async def test_another_method_is_405_with_the_methods_that_answer(self) -> None:
        """Allow has just the methods that are answered. RFC 9110 sections 10.2.1 and 15.5.6."""
        app = self.make_app(("POST", "/users", _say("post")), ("PUT", "/users", _say("put")))
        async with self.serve(app) as client:
            answered, refused = set(), {}
            for method in _METHODS:
                async with client.request(method, "/users") as answer:
                    if answer.status == 405:
                        refused[method] = answer.headers.get("Allow", "")
                    else:
                        answered.add(method)
        self.expect({"POST", "PUT"} <= answered, "methods that have a route are answered", answered)
        self.expect({"GET", "PATCH", "DELETE"} <= set(refused), "methods without a route are 405", answered)
        for method, allow in refused.items():
            allowed = {word.strip() for word in allow.split(",") if word.strip()}
            self.expect_equal(
                allowed & set(_METHODS), answered, f"Allow of the 405 for {method} has just the methods that answer"
            )

    async def test_each_refusal_is_its_own_requests(self) -> None:
        """The pipeline keeps one callable for a route, that of errors too: it raises what the request's match has."""
        app = self.make_app(("POST", "/users", _say("post")), ("DELETE", "/posts", _say("delete")))
        asked = [("PUT", "/users"), ("PUT", "/posts"), ("GET", "/nothing"), ("PUT", "/users")]
        found = []
        async with self.serve(app) as client:
            for method, path in asked:
                async with client.request(method, path) as answer:
                    found.append((answer.status, answer.headers.get("Allow")))
        expected = [(405, "POST"), (405, "DELETE"), (404, None), (405, "POST")]
        self.expect_equal(found, expected, f"each of {asked} is refused for its own reason")

    async def test_head_is_a_get_without_its_body_or_refused(self) -> None:
        """Where only GET has a route, HEAD has GET's fields and no body, or is a 405. RFC 9110 section 9.3.2."""
        app = self.make_app(("GET", "/users", _say("seven..")))
        async with self.serve(app) as client, client.head("/users") as answer:
            self.expect(answer.status in (200, 405), "HEAD of a path with GET is 200 or 405", answer.status)
            self.expect_equal(await answer.read(), b"", "an answer to HEAD has no body")
            if answer.status == 200:
                self.expect_equal(answer.headers.get("Content-Length"), "7", "HEAD has the fields that GET has")
            else:
                allow = answer.headers.get("Allow", "")
                self.expect("HEAD" not in allow, "Allow has no method that is refused", allow)

    async def test_methods_differ_by_case(self) -> None:
        """``get`` is another method than ``GET``. RFC 9110 section 9.1."""
        app = self.make_app(("GET", "/users", _say("users")))
        app.freeze()
        match = await self.find_match(app, "get", "/users")
        self.expect_equal(
            getattr(match.http_exception, "status", None), 405, "the method get is not answered by GET's handler"
        )

    async def test_plugins_wrap_every_route_and_the_error_route(self) -> None:
        """What ``corelet_wrap_handler`` gives for a route runs for its requests, and what it gives for None for 404."""
        app = self.make_app(("GET", "/users", _say("users")), ("GET", "/posts", _say("posts")), plugins=[_Wrapping()])
        async with self.serve(app) as client:
            wrapped = {}
            for method, path in [("GET", "/users"), ("GET", "/posts"), ("GET", "/nothing"), ("DELETE", "/posts")]:
                async with client.request(method, path) as answer:
                    wrapped[method, path] = answer.headers.get("X-Wrapped")
        self.expect_equal(
            (wrapped["GET", "/nothing"], wrapped["DELETE", "/posts"]),
            ("None", "None"),
            "404 and 405 are answered by the error route",
        )
        users, posts = wrapped["GET", "/users"], wrapped["GET", "/posts"]
        self.expect(
            None not in (users, posts) and "None" not in (users, posts) and users != posts,
            "each route has a wrapper of its own",
            wrapped,
        )

    async def test_a_frozen_router_takes_no_more_routes(self) -> None:
        """Routes are known when the application starts."""
        app = self.make_app(("GET", "/users", _say("users")))
        self.expect_equal(app.router.frozen, False, "a router is not frozen at first")
        app.freeze()
        self.expect_equal(app.router.frozen, True, "freeze() makes it frozen")
        with self.expect_error(Exception, "a route that comes after freeze() is an error"):
            self.add_route(app.router, "GET", "/late", _say("late"))

    async def test_no_path_breaks_it(self) -> None:
        """What peers make up is a match or an error for them, never an exception."""
        app = self.make_app(("GET", "/users", _say("users")))
        app.freeze()
        for path in _HOSTILE_PATHS:
            for method in ("GET", "POST"):
                await self._find_without_error(app, method, path)
        await self._find_without_error(app, "OPTIONS", "*")

    async def _find_without_error(self, app: web.Application, method: str, path: str) -> None:
        request = make_mocked_request(method, path, app=app)
        try:
            match = await self._route(app, request)
        except Exception as error:
            promise = f"no request makes a router raise, nor does {method} {path[:60]}"
            raise AssertionError(self.describe(promise, error)) from error
        status = 200 if match.http_exception is None else match.http_exception.status
        self.expect(status < 500, f"{method} {path[:60]} is no error of the server's", status)

    async def test_a_prefix_moves_all_routes(self) -> None:
        """Those that are added later, too; an inner prefix comes first. Or the router says that it can't be moved."""
        app = self.make_app(("GET", "/users", _say("users")))
        if type(app.router).add_prefix is AbstractRouter.add_prefix:
            with self.expect_error(TypeError, "a router without add_prefix() says so"):
                app.router.add_prefix("/api")
            return
        app.router.add_prefix("/v1")
        self.add_route(app.router, "GET", "/posts", _say("posts"))
        app.router.add_prefix("/api")
        app.freeze()
        for path in ("/api/v1/users", "/api/v1/posts"):
            match = await self.find_match(app, "GET", path)
            self.expect_equal(match.http_exception, None, f"after the prefixes /v1 and /api {path} is found")
        for path in ("/users", "/v1/users", "/v1/api/users", "/api/users", "/api", "/apiv1/users"):
            match = await self.find_match(app, "GET", path)
            self.expect(match.http_exception is not None, f"after the prefixes /v1 and /api {path} is not found")

    async def test_requests_beside_each_other_get_their_own_answers(self) -> None:
        """Forty requests at once for four routes, whose handlers wait."""
        paths = ["/a", "/b", "/c", "/d"]
        app = self.make_app(*(("GET", path, _say(path, waits=True)) for path in paths))
        async with self.serve(app) as client:

            async def ask(path: str) -> str:
                async with client.get(path) as answer:
                    text: str = await answer.text()
                    return text

            async with self.expect_end("forty requests at once are answered"):
                answers = await asyncio.gather(*(ask(path) for path in paths * 10))
        self.expect_equal(answers, paths * 10, "requests at once get the answers of their own routes")

    async def test_a_lookup_that_is_cancelled_harms_no_other(self) -> None:
        """A peer may go away while its route is looked for."""
        app = self.make_app(("GET", "/users", _say("users")))
        app.freeze()
        lookups = [asyncio.ensure_future(self.find_match(app, "GET", "/users")) for _ in range(4)]
        await asyncio.sleep(0)
        for lookup in lookups[::2]:
            lookup.cancel()
        async with self.expect_end("a lookup that is cancelled ends"):
            await asyncio.gather(*lookups, return_exceptions=True)
        for found in [lookups[1].result(), lookups[3].result(), await self.find_match(app, "GET", "/users")]:
            self.expect_equal(found.http_exception, None, "lookups beside and after one that was cancelled find")

    async def test_expectations_are_met(self) -> None:
        """``Expect: 100-continue`` is answered before the body is sent. RFC 9110 section 10.1.1."""
        app = self.make_app(("POST", "/users", _echo))
        promise = "a request with Expect: 100-continue is answered"
        async with (
            self.serve(app) as client,
            self.expect_end(promise),
            client.post("/users", data=b"body", expect100=True) as answer,
        ):
            self.expect_equal(await answer.read(), b"body", promise)


class _Wrapping:
    """A plugin that has each answer say which route it came by."""

    @hookimpl
    def corelet_wrap_handler(self, app: web.Application, route: Any) -> Callable[[Handler], Handler]:
        mark = "None" if route is None else str(id(route))

        def wrap(handler: Handler) -> Handler:
            async def answer(request: web.Request) -> web.StreamResponse:
                try:
                    response: web.StreamResponse = await handler(request)
                except web.HTTPException as error:
                    error.headers["X-Wrapped"] = mark
                    raise
                response.headers["X-Wrapped"] = mark
                return response

            return answer

        return wrap


def _say(text: str, *, waits: bool = False) -> Handler:
    async def say(request: web.Request) -> web.Response:
        if waits:
            await asyncio.sleep(0.001)
        return web.Response(text=text)

    return say


async def _echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


def _sum_up(match: AbstractMatchInfo) -> tuple[object, object]:
    """What two matches of one request have in common; those without a route have handlers of their own."""
    error = match.http_exception
    return (match.handler, match.route) if error is None else (error.status, error.headers.get("Allow"))
