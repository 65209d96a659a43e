"""An Application: state, registration, life, and the ports that plugins fill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from corelet.abc import AbstractMatchInfo, AbstractRouter
from corelet.app import Application, AppState, CleanupError, middleware
from corelet.errors import MissingPluginError, PluginConflictError, PluginLoadError
from corelet.exceptions import HTTPNotFound
from corelet.hookspecs import hookimpl
from corelet.keys import AppKey
from corelet.response import Response
from tests.conftest import Connect, Serve


async def hello(request: Any) -> Response:
    return Response(text="hello")


def make_app(**kwargs: Any) -> Application:
    return Application(handler=hello, plugins=[], **kwargs)


# Names.

#: What serves only the insides of the peer that the parity list describes, or is on a higher floor here.
LEFT_OUT = {"ATTRS", "make_handler", "pre_freeze", "pre_frozen"}


def test_every_public_name_of_the_field_is_here() -> None:
    names = """ATTRS __getitem__ __iter__ __len__ add_domain add_routes add_subapp cleanup debug freeze frozen get loop
        make_handler middlewares on_cleanup on_response_prepare on_shutdown on_startup pre_freeze pre_frozen router
        cleanup_ctx shutdown startup logger"""
    instance = make_app()
    missing = {name for name in names.split() if name not in dir(instance)}
    assert missing == LEFT_OUT


async def test_the_loop_of_an_application_is_the_running_one() -> None:
    assert make_app().loop is asyncio.get_running_loop()


def test_a_middleware_may_be_marked() -> None:
    async def plain(request: Any, handler: Any) -> Any: ...

    assert middleware(plain) is plain


# State.

NAME = AppKey("NAME", str)


def test_state_is_a_mapping() -> None:
    app = make_app()
    app[NAME] = "typed"
    app["text"] = 1
    assert (app[NAME], app["text"], len(app), set(app)) == ("typed", 1, 2, {NAME, "text"})
    assert app.get(NAME) == "typed"
    assert app.get("nothing") is None
    assert app.get("nothing", 5) == 5
    del app["text"]
    assert "text" not in app
    with pytest.raises(KeyError):
        app["text"]


def test_an_empty_application_is_true_and_only_equal_to_itself() -> None:
    first, second = make_app(), make_app()
    assert first
    same = first
    assert first == same
    assert first != second
    assert len({first, second}) == 2


def test_an_application_shows_its_state() -> None:
    assert repr(make_app()).startswith("<Application open 0x")


async def test_states_follow_each_other() -> None:
    app = make_app()
    seen = [app.state]

    async def note(app: Application) -> None:
        seen.append(app.state)

    app.on_startup.append(note)
    app.on_shutdown.append(note)
    app.on_cleanup.append(note)
    assert not app.frozen
    await app.startup()
    assert app.frozen
    seen.append(app.state)
    await app.shutdown()
    await app.cleanup()
    assert seen == [AppState.OPEN, AppState.OPEN, AppState.RUNNING, AppState.RUNNING, AppState.STOPPED]
    assert app.state is AppState.STOPPED


async def test_an_application_lives_once() -> None:
    app = make_app()
    await app.startup()
    with pytest.raises(RuntimeError, match="lives once"):
        await app.startup()
    await app.cleanup()
    with pytest.raises(RuntimeError, match="lives once"):
        await app.startup()


async def test_a_stop_before_the_start_or_after_the_end_does_nothing() -> None:
    app = make_app()
    called: list[str] = []

    async def note(app: Application) -> None:
        called.append("")

    app.on_shutdown.append(note)
    app.on_cleanup.append(note)
    await app.shutdown()
    await app.cleanup()
    assert called == []
    await app.startup()
    await app.shutdown()
    await app.cleanup()
    await app.shutdown()
    await app.cleanup()
    assert len(called) == 2


async def test_setting_state_after_the_start_says_what_to_do() -> None:
    app = make_app()
    app["here"] = 1
    await app.startup()
    with pytest.raises(RuntimeError, match=r"setting 'new' on .* has started: do it before, or in an on_startup"):
        app["new"] = 1
    with pytest.raises(RuntimeError, match=r"deleting 'here' on .* has started: do it before, or in an on_startup"):
        del app["here"]
    with pytest.raises(RuntimeError, match="do it before, or in an on_startup handler"):
        app.add_subapp("/sub", make_app())
    assert app["here"] == 1
    await app.cleanup()


@pytest.mark.parametrize(
    "name", ["middlewares", "on_startup", "on_shutdown", "on_cleanup", "on_response_prepare", "cleanup_ctx"]
)
async def test_nothing_can_be_registered_after_the_start(name: str) -> None:
    app = make_app()
    await app.startup()
    with pytest.raises(RuntimeError, match="frozen"):
        getattr(app, name).append(hello)
    await app.cleanup()


async def test_an_application_that_is_frozen_by_hand_can_still_be_started() -> None:
    app = make_app()
    app.freeze()
    app.freeze()
    assert app.state is AppState.FROZEN
    with pytest.raises(RuntimeError):
        app["late"] = 1
    await app.startup()
    assert app.state is AppState.RUNNING
    await app.cleanup()


def test_the_pipeline_of_an_open_application_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"is not frozen: await app\.startup\(\) first, or serve it by an AppRunner"):
        _ = make_app().pipeline


# Its life.


class Journal:
    """Makes parts of an application's life that note when they run, and fail where told."""

    def __init__(self, failing: tuple[str, ...] = ()) -> None:
        self.lines: list[str] = []
        self.failing = failing

    def note(self, line: str) -> None:
        self.lines.append(line)
        if line in self.failing:
            raise LookupError(line)

    def signal(self, name: str) -> Any:
        async def receive(app: Application) -> None:
            self.note(name)

        return receive

    def context(self, name: str) -> Any:
        # Without try and finally, as most people write it.
        async def live(app: Application) -> AsyncIterator[None]:
            self.note(f"+{name}")
            yield
            self.note(f"-{name}")

        return live

    def lifespan(self, name: str) -> Any:
        context = asynccontextmanager(self.context(name))

        class Plugin:
            @hookimpl
            def corelet_lifespan(self, app: Any) -> AbstractAsyncContextManager[None]:
                return context(app)

        return Plugin()

    def make_app(self) -> Application:
        app = Application(handler=hello, plugins=[self.lifespan("plugin 1"), self.lifespan("plugin 2")])
        app.cleanup_ctx.extend([self.context("context 1"), self.context("context 2")])
        for name in ("startup", "shutdown", "cleanup"):
            getattr(app, f"on_{name}").extend([self.signal(f"{name} 1"), self.signal(f"{name} 2")])
        return app


ALIVE = ["+plugin 1", "+plugin 2", "+context 1", "+context 2", "startup 1", "startup 2"]
GONE = ["-context 2", "-context 1", "cleanup 1", "cleanup 2", "-plugin 2", "-plugin 1"]


async def test_parts_come_to_life_in_order_and_leave_in_reverse() -> None:
    journal = Journal()
    app = journal.make_app()
    await app.startup()
    assert journal.lines == ALIVE
    await app.shutdown()
    await app.cleanup()
    assert journal.lines == [*ALIVE, "shutdown 1", "shutdown 2", *GONE]


@pytest.mark.parametrize("failing", ALIVE)
async def test_a_start_that_fails_half_way_leaves_what_it_had_entered(failing: str) -> None:
    journal = Journal((failing,))
    app = journal.make_app()
    with pytest.raises(LookupError, match=failing.replace("+", r"\+")):
        await app.startup()
    entered = [line for line in ALIVE[: ALIVE.index(failing)] if line.startswith("+")]
    assert journal.lines == [*ALIVE[: ALIVE.index(failing) + 1], *(f"-{line[1:]}" for line in reversed(entered))]
    assert app.state is AppState.STOPPED


async def test_a_start_that_is_cancelled_leaves_what_it_had_entered() -> None:
    journal = Journal()
    app = journal.make_app()

    async def hang(app: Application) -> None:
        await asyncio.sleep(30)

    app.on_startup.append(hang)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(app.startup(), 0.05)
    assert journal.lines == [*ALIVE, "-context 2", "-context 1", "-plugin 2", "-plugin 1"]


async def test_a_failure_while_a_failed_start_is_cleaned_up_hides_nothing() -> None:
    journal = Journal(("startup 1", "-context 2", "-plugin 2"))
    app = journal.make_app()
    with pytest.raises(LookupError, match="startup 1") as raised:
        await app.startup()
    assert journal.lines[-4:] == ["-context 2", "-context 1", "-plugin 2", "-plugin 1"]
    notes = "\n".join(raised.value.__notes__)
    assert "-context 2" in notes
    assert "-plugin 2" in notes


@pytest.mark.parametrize("failing", GONE)
async def test_each_step_of_a_clean_up_runs_though_another_fails(failing: str) -> None:
    journal = Journal((failing,))
    app = journal.make_app()
    await app.startup()
    with pytest.raises(LookupError, match=failing):
        await app.cleanup()
    assert journal.lines == [*ALIVE, *GONE]
    assert app.state is AppState.STOPPED


async def test_each_step_of_a_clean_up_runs_though_one_waits_for_a_task_that_it_has_cancelled() -> None:
    journal = Journal()
    app = journal.make_app()

    async def work_beside(app: Application) -> AsyncIterator[None]:
        task = asyncio.create_task(asyncio.sleep(30))
        yield
        task.cancel()
        await task

    app.cleanup_ctx.append(work_beside)
    await app.startup()
    with pytest.raises(asyncio.CancelledError):
        await app.cleanup()
    assert journal.lines == [*ALIVE, *GONE]


async def test_several_failures_of_a_clean_up_are_raised_together() -> None:
    failing = ("-context 2", "-context 1", "cleanup 2", "-plugin 2")
    app = Journal(failing).make_app()
    await app.startup()
    with pytest.raises(CleanupError, match="4 steps") as raised:
        await app.cleanup()
    assert [str(exc.args[0]) for exc in raised.value.exceptions] == list(failing)


async def test_a_context_may_be_an_async_context_manager() -> None:
    lines: list[str] = []

    @asynccontextmanager
    async def managed(app: Application) -> AsyncIterator[None]:
        lines.append("entered")
        yield
        lines.append("left")

    app = make_app()
    app.cleanup_ctx.append(managed)
    await app.startup()
    await app.cleanup()
    assert lines == ["entered", "left"]


async def test_a_context_may_be_a_callable_that_gives_an_async_generator() -> None:
    lines: list[str] = []

    async def generate(app: Application, name: str) -> AsyncIterator[None]:
        lines.append(f"+{name}")
        yield
        lines.append(f"-{name}")

    app = make_app()
    app.cleanup_ctx.append(lambda app: generate(app, "a"))
    await app.startup()
    await app.cleanup()
    assert lines == ["+a", "-a"]


async def test_a_context_of_another_kind_says_what_is_expected() -> None:
    app = make_app()
    app.cleanup_ctx.append(lambda app: 5)
    with pytest.raises(TypeError, match="expected an async generator or async context manager"):
        await app.startup()


async def test_a_coroutine_function_is_no_context() -> None:
    async def connect(app: Application) -> None: ...

    app = make_app()
    app.cleanup_ctx.append(connect)
    with pytest.raises(TypeError, match="expected an async generator or async context manager"):
        await app.startup()


async def test_a_synchronous_handler_of_a_signal_says_what_is_expected() -> None:
    def connect(app: Application) -> None: ...

    app = make_app()
    app.on_startup.append(connect)
    with pytest.raises(TypeError, match=r"<function .*connect at .*> in on_startup gave None, .*write it as async def"):
        await app.startup()

    for name in ("on_shutdown", "on_cleanup"):
        app = make_app()
        getattr(app, name).append(connect)
        await app.startup()
        with pytest.raises(TypeError, match=f"in {name} gave None"):  # noqa: PT012  # whichever step calls it
            await app.shutdown()
            await app.cleanup()


def test_one_middleware_is_no_list_of_them() -> None:
    @middleware
    async def own(request: Any, handler: Any) -> Any:
        return await handler(request)

    with pytest.raises(TypeError, match=r"middlewares is a list of middlewares, got <function .*own at .*put it"):
        make_app(middlewares=own)


@pytest.mark.parametrize("name", ["post", "route", "websocket"])
def test_decorators_of_other_frameworks_are_answered_by_what_to_write(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"no attribute '{name}': .*app\.router\.add_get\(path, handler\)"):
        getattr(make_app(), name)
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'$"):
        _ = make_app().nothing


def test_a_property_of_a_subclass_keeps_its_own_error() -> None:
    class Shop(Application):
        @property
        def database(self) -> Any:
            return self.conection

    with pytest.raises(AttributeError, match="no attribute 'conection'"):
        _ = Shop(handler=hello, plugins=[]).database


def test_get_takes_no_path_for_a_key_of_the_state() -> None:
    app = make_app()
    with pytest.raises(TypeError, match=r"app\.get\(\) gets a value of the application's state: a route is added by"):
        app.get("/")
    assert app.get("/", "default") == "default"
    assert app.get("/", None) is None
    app["/"] = "root"
    assert app.get("/") == "root"


async def test_a_context_that_yields_twice_is_an_error() -> None:
    async def twice(app: Application) -> AsyncIterator[None]:
        yield
        yield

    app = make_app()
    app.cleanup_ctx.append(twice)
    await app.startup()
    with pytest.raises(RuntimeError, match="didn't stop"):
        await app.cleanup()


async def test_startup_handlers_may_add_state_routes_and_middlewares(serve: Serve, connect: Connect) -> None:
    app = Application(plugins=["routing"])

    async def shout(request: Any, handler: Any) -> Response:
        response = await handler(request)
        response.headers["X-Shout"] = request.app["word"]
        return response

    async def set_up(app: Application) -> None:
        app["word"] = "loud"
        app.router.add_get("/late", hello)
        app.middlewares.append(shout)

    app.on_startup.append(set_up)
    client = await connect(await serve(app))
    answer = await client.get("/late")
    assert (answer.text, answer.field("x-shout")) == ("hello", "loud")


# Mounted applications: the port alone, filled by a plugin of the test.


class Mounting:
    """Mounts without serving: enough to see the lives of inner applications."""

    @hookimpl
    def corelet_mount(self, app: Any, where: str, subapp: Any) -> Any:
        return f"{where} is mounted"


def make_nested(journal: Journal) -> tuple[Application, list[Application]]:
    outer = Application(handler=hello, plugins=[Mounting()])
    inners = []
    for name in ("one", "two"):
        inner = make_app()
        inner.on_startup.append(journal.signal(f"{name} starts"))
        inner.on_shutdown.append(journal.signal(f"{name} is shut down"))
        inner.cleanup_ctx.append(journal.context(name))
        inners.append(inner)
    assert outer.add_subapp("/one", inners[0]) == "/one is mounted"
    assert outer.add_domain("two.example", inners[1]) == "two.example is mounted"
    return outer, inners


async def test_mounted_applications_live_with_the_outer_one() -> None:
    journal = Journal()
    outer, inners = make_nested(journal)
    outer.on_startup.append(journal.signal("outer starts"))
    assert outer.subapps == tuple(inners)
    assert list(outer.iter_apps()) == [outer, *inners]
    await outer.startup()
    assert [inner.state for inner in inners] == [AppState.RUNNING] * 2
    await outer.shutdown()
    await outer.cleanup()
    assert journal.lines == [
        *("outer starts", "+one", "one starts", "+two", "two starts", "one is shut down", "two is shut down"),
        *("-two", "-one"),
    ]


def test_an_application_is_looked_at_before_plugins_mount_it() -> None:
    outer, (inner, _) = make_nested(Journal())
    for mount in (outer.add_subapp, outer.add_domain):
        where = "/again" if mount == outer.add_subapp else "again"
        with pytest.raises(ValueError, match="is mounted already"):
            mount(where, inner)
        with pytest.raises(ValueError, match="inside itself"):
            mount(where, outer)
        with pytest.raises(TypeError, match="takes an Application, got None"):
            mount(where, None)  # type: ignore[arg-type]  # the mistake
        with pytest.raises(TypeError, match=r"like .*, got 5"):
            mount(5, make_app())  # type: ignore[arg-type]  # the mistake
        with pytest.raises(ValueError, match=r"is no (prefix|domain)"):
            mount("", make_app())
        with pytest.raises(ValueError, match=r"is no (prefix|domain)"):
            mount("prefix" if where == "/again" else "/domain", make_app())
    assert len(outer.subapps) == 2
    assert inner.is_mounted
    assert not outer.is_mounted


async def test_mounted_applications_freeze_with_the_outer_one() -> None:
    outer, inners = make_nested(Journal())
    outer.freeze()
    assert all(inner.frozen for inner in inners)


async def test_an_inner_application_that_fails_to_start_takes_the_others_down() -> None:
    journal = Journal(("two starts",))
    outer, inners = make_nested(journal)
    outer.cleanup_ctx.append(journal.context("outer"))
    with pytest.raises(LookupError, match="two starts"):
        await outer.startup()
    assert journal.lines == ["+outer", "+one", "one starts", "+two", "two starts", "-two", "-one", "-outer"]
    assert {app.state for app in (outer, *inners)} == {AppState.STOPPED}


async def test_the_clean_up_of_an_inner_application_may_fail() -> None:
    journal = Journal(("-one", "-two", "-outer"))
    outer, _ = make_nested(journal)
    outer.cleanup_ctx.append(journal.context("outer"))
    await outer.startup()
    with pytest.raises(CleanupError, match="3 steps") as raised:
        await outer.cleanup()
    assert [str(exc.args[0]) for exc in raised.value.exceptions] == ["-two", "-one", "-outer"]


# Ports.


@pytest.mark.parametrize(
    ("touch", "words"),
    [
        (lambda app: app.router, "app.router comes with a routing plugin: pip install corelet-routing"),
        (lambda app: app.add_routes([]), "app.router comes with a routing plugin: pip install corelet-routing"),
        (
            lambda app: app.add_subapp("/a", make_app()),
            "app.add_subapp comes with a subapps plugin: pip install corelet-subapps",
        ),
        (
            lambda app: app.add_domain("a", make_app()),
            "app.add_domain comes with a subapps plugin: pip install corelet-subapps",
        ),
    ],
)
def test_a_port_that_no_plugin_fills_says_what_to_install(touch: Any, words: str) -> None:
    with pytest.raises(MissingPluginError) as raised:
        touch(Application(plugins=[]))
    assert str(raised.value).replace("()", "") == words


async def test_an_application_without_router_and_handler_cannot_start() -> None:
    with pytest.raises(MissingPluginError, match="corelet-routing"):
        await Application(plugins=[]).startup()


class TinyRouter(AbstractRouter):
    """Finds nothing, and notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.app: Any = None
        self.resolved = 0

    def post_init(self, app: Any) -> None:
        assert self.app is None
        self.app = app

    async def resolve(self, request: Any) -> AbstractMatchInfo:
        self.resolved += 1
        return TinyMatch(self.app)


class TinyMatch(AbstractMatchInfo):
    expect_handler = None
    route = "the error route"
    current_app = None
    apps: tuple[Any, ...] = ()
    http_exception: Any = None

    def __init__(self, app: Any) -> None:
        self.apps = (app,)
        self.http_exception = HTTPNotFound()

    @property
    def handler(self) -> Any:
        async def refuse(request: Any) -> Response:
            raise request.match_info.http_exception

        return refuse

    def get_info(self) -> dict[str, Any]:
        return {}

    def add_app(self, app: Any) -> None:
        self.apps = (app, *self.apps)


async def test_a_router_may_be_given(serve: Serve, connect: Connect) -> None:
    router = TinyRouter()
    app = Application(router=router, plugins=[])
    assert app.router is router
    assert router.app is app
    client = await connect(await serve(app))
    assert [(await client.get()).status for _ in range(2)] == [404, 404]
    assert router.frozen
    assert router.resolved == 2


def test_a_router_is_made_when_first_touched_and_once() -> None:
    made: list[TinyRouter] = []

    class Plugin:
        @hookimpl
        def corelet_make_router(self, app: Any) -> TinyRouter:
            made.append(TinyRouter())
            return made[-1]

    app = Application(plugins=[Plugin()])
    assert made == []
    assert app.router is app.router
    assert len(made) == 1
    assert made[0].app is app


def test_two_plugins_that_make_a_router_are_a_conflict() -> None:
    class First:
        @hookimpl
        def corelet_make_router(self, app: Any) -> TinyRouter:
            return TinyRouter()

    class Second(First):
        pass

    with pytest.raises(PluginConflictError, match=r"(?s)First.*Second|Second.*First"):
        _ = Application(plugins=[First(), Second()]).router


def test_an_application_has_a_handler_or_a_router() -> None:
    with pytest.raises(TypeError, match="a handler or a router, both were given"):
        Application(handler=hello, router=TinyRouter(), plugins=[])
    with pytest.raises(RuntimeError, match="made with a handler has no router"):
        _ = make_app().router


async def test_an_application_of_one_handler_answers_everything(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        assert request.match_info is None
        assert request.app is app
        return Response(text=f"{request.method} {request.path}")

    app = Application(handler=handler, plugins=[])
    client = await connect(await serve(app))
    assert (await client.get("/any/where", method="PURGE")).text == "PURGE /any/where"


def test_plugins_configure_a_new_application() -> None:
    class Plugin:
        @hookimpl
        def corelet_configure(self, app: Any) -> None:
            app["configured"] = app.state

    assert Application(handler=hello, plugins=[Plugin()])["configured"] is AppState.OPEN


def test_a_plugin_that_isnt_installed_is_told() -> None:
    with pytest.raises(PluginLoadError, match="no-such-plugin"):
        Application(plugins=["no-such-plugin"])


def test_installed_plugins_are_found_unless_named() -> None:
    from corelet_routing import UrlDispatcher

    assert isinstance(Application().router, UrlDispatcher)
