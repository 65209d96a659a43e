"""What every plugin that mounts applications must do, as tests that its author runs."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from corelet import web
from corelet.abc import Handler

from .conformance import Conformance


class MountConformance(Conformance):
    """Test what fills ``corelet_mount``: ``app.add_subapp`` and ``app.add_domain``.

    Where routes are added otherwise than by ``app.router.add_route(method, path, handler)``, override
    :meth:`add_route`; where the plugin mounts at no domains, set :attr:`mounts_domains` to False.
    """

    port = "a plugin that mounts applications"
    #: Whether it mounts at domains, too.
    mounts_domains: bool = True

    @abstractmethod
    def make_app(self, **kwargs: Any) -> web.Application:
        """Make an application that has the plugin and a router that it works with; keywords are the application's."""

    def add_route(self, app: web.Application, method: str, path: str, handler: Handler) -> None:
        """Add a route to an application of :meth:`make_app`."""
        app.router.add_route(method, path, handler)

    def make_saying_app(self, path: str, text: str, **kwargs: Any) -> web.Application:
        """Make an application with one GET route that answers by a text."""
        app = self.make_app(**kwargs)
        self.add_route(app, "GET", path, _say(text))
        return app

    async def _ask(self, app: web.Application, *requests: tuple[str, str], **kwargs: Any) -> list[tuple[int, str]]:
        answers = []
        async with self.serve(app) as client:
            for method, path in requests:
                async with client.request(method, path, **kwargs) as answer:
                    answers.append((answer.status, await answer.text() if answer.status == 200 else ""))
        return answers

    async def test_what_is_below_the_prefix_is_the_inner_applications(self) -> None:
        """Its routes move below the prefix, those that are added later too; all others stay the outer one's."""
        app = self.make_saying_app("/users", "outer users")
        inner = self.make_saying_app("/users", "inner users")
        resource = app.add_subapp("/api", inner)
        self.expect(resource is not None, "add_subapp() gives what stands for the application")
        self.add_route(inner, "GET", "/late", _say("late"))
        self.add_route(app, "GET", "/after", _say("after"))
        asked = ["/users", "/api/users", "/api/late", "/after"]
        self.expect_equal(
            await self._ask(app, *(("GET", path) for path in asked)),
            [(200, "outer users"), (200, "inner users"), (200, "late"), (200, "after")],
            "each path is answered by its application",
        )

    async def test_what_only_begins_like_the_prefix_is_not_below_it(self) -> None:
        """A prefix is whole segments of a path."""
        app = self.make_saying_app("/apix/users", "outer")
        app.add_subapp("/api", self.make_saying_app("/users", "inner"))
        self.expect_equal(
            await self._ask(app, ("GET", "/apix/users"), ("GET", "/apiusers"), ("GET", "/users")),
            [(200, "outer"), (404, ""), (404, "")],
            "/apix is not below /api",
        )

    async def test_applications_nest(self) -> None:
        """An application in an application in a third one has both prefixes."""
        app, middle = self.make_app(), self.make_saying_app("/users", "middle")
        middle.add_subapp("/deep", self.make_saying_app("/users", "innermost"))
        app.add_subapp("/api", middle)
        self.expect_equal(
            await self._ask(app, ("GET", "/api/users"), ("GET", "/api/deep/users"), ("GET", "/deep/users")),
            [(200, "middle"), (200, "innermost"), (404, "")],
            "prefixes add up, the outer one first",
        )

    async def test_every_application_on_the_way_has_its_part(self) -> None:
        """Middlewares run from the outside in, each with its application as ``request.app``; for 404 and 405 too."""
        apps: dict[str, web.Application] = {}
        seen: list[tuple[str, bool]] = []

        def watch(name: str) -> Any:
            async def middleware(request: web.Request, handler: Handler) -> Any:
                seen.append((name, request.app is apps[name]))
                try:
                    return await handler(request)
                finally:
                    seen.append((f"{name} again", request.app is apps[name]))

            return middleware

        async def tell(request: web.Request) -> web.Response:
            assert request.match_info is not None
            whole = request.match_info.apps == (apps["outer"], apps["inner"])
            return web.Response(text=f"{request.app is apps['inner']} {whole}")

        apps["outer"] = self.make_app(middlewares=[watch("outer")])
        apps["inner"] = self.make_app(middlewares=[watch("inner")])
        self.add_route(apps["inner"], "GET", "/users", tell)
        apps["outer"].add_subapp("/api", apps["inner"])
        order = [("outer", True), ("inner", True), ("inner again", True), ("outer again", True)]
        promise = "middlewares run from the outside in, each with its own application as request.app"
        answers = []
        async with self.serve(apps["outer"]) as client:
            for method, path in [("GET", "/api/users"), ("GET", "/api/nothing"), ("DELETE", "/api/users")]:
                seen.clear()
                async with client.request(method, path) as answer:
                    answers.append((answer.status, await answer.text(), answer.headers.get("Allow", "")))
                self.expect_equal(seen, order, f"{promise}: {method} {path}")
        self.expect_equal(answers[0][:2], (200, "True True"), "in a handler request.app is the innermost application")
        self.expect_equal((answers[1][0], answers[2][0]), (404, 405), "the inner application has its 404 and 405")
        self.expect("GET" in answers[2][2], "Allow of a 405 has the inner application's methods", answers[2][2])

    async def test_responses_are_prepared_by_all_from_the_outside_in(self) -> None:
        """``on_response_prepare`` of an application is sent for what those within answer, and for nothing else."""
        outer, inner = self.make_saying_app("/users", "outer"), self.make_saying_app("/users", "inner")
        prepared: list[str] = []

        def prepare(name: str) -> Any:
            async def note(request: web.Request, response: web.StreamResponse) -> None:
                prepared.append(name)

            return note

        outer.on_response_prepare.append(prepare("outer"))
        inner.on_response_prepare.append(prepare("inner"))
        outer.add_subapp("/api", inner)
        await self._ask(outer, ("GET", "/api/users"), ("GET", "/users"))
        self.expect_equal(prepared, ["outer", "inner", "outer"], "responses are prepared from the outside in")

    async def test_the_inner_application_starts_and_stops_with_the_outer_one(self) -> None:
        """Its signals are sent once each."""
        app, inner = self.make_app(), self.make_saying_app("/users", "inner")
        told: list[str] = []
        for name in ("on_startup", "on_shutdown", "on_cleanup"):

            async def tell(_: web.Application, name: str = name) -> None:
                told.append(name)

            getattr(inner, name).append(tell)
        app.add_subapp("/api", inner)
        await self._ask(app, ("GET", "/api/users"))
        self.expect_equal(told, ["on_startup", "on_shutdown", "on_cleanup"], "an inner application lives as the outer")

    async def test_two_applications_stand_beside_each_other(self) -> None:
        """Each has its own prefix, state and answers."""
        app = self.make_app()
        for name in ("one", "two"):
            inner = self.make_app()
            inner["name"] = name
            self.add_route(inner, "GET", "/name", _tell_name)
            app.add_subapp(f"/{name}", inner)
        with_state = await self._ask(app, ("GET", "/one/name"), ("GET", "/two/name"))
        self.expect_equal(with_state, [(200, "one"), (200, "two")], "each inner application has its own state")

    async def test_a_domain_is_an_applications_place_too(self) -> None:
        """The Host field chooses; other hosts stay the outer application's."""
        app = self.make_saying_app("/users", "outer")
        inner = self.make_saying_app("/users", "inner")
        if not self.mounts_domains:
            with self.expect_error(Exception, "a plugin that mounts at no domains doesn't pretend to"):
                app.add_domain("inner.example", inner)
            return
        self.expect(app.add_domain("inner.example", inner) is not None, "add_domain() gives what stands for it")
        async with self.serve(app) as client:
            for host, text in [("inner.example", "inner"), ("INNER.example", "inner"), ("other.example", "outer")]:
                async with client.get("/users", headers={"Host": host}) as answer:
                    self.expect_equal(await answer.text(), text, f"who answers for the host {host}")
            async with client.get("/nothing", headers={"Host": "inner.example"}) as answer:
                self.expect_equal(answer.status, 404, "the inner application has its 404")

    async def test_an_application_has_one_place(self) -> None:
        """What can't be served is refused where it is mounted, and nothing is left of it."""
        app, inner = self.make_app(), self.make_saying_app("/users", "inner")
        app.add_subapp("/api", inner)
        with self.expect_error(ValueError, "an application is mounted once"):
            app.add_subapp("/again", inner)
        with self.expect_error(ValueError, "an application is not mounted inside itself"):
            inner.add_subapp("/self", app)
        self.expect_equal(
            await self._ask(app, ("GET", "/api/users"), ("GET", "/again/users"), ("GET", "/api/self/users")),
            [(200, "inner"), (404, ""), (404, "")],
            "what was refused is not there",
        )


def _say(text: str) -> Handler:
    async def say(request: web.Request) -> web.Response:
        return web.Response(text=text)

    return say


async def _tell_name(request: web.Request) -> web.Response:
    return web.Response(text=request.app["name"])
