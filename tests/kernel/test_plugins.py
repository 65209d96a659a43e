"""Plugins are found, checked, registered and asked; what is wrong with one is said in words that help."""

from __future__ import annotations

import sys
import types
from collections.abc import Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

import corelet
from corelet import PluginConflictError, PluginLoadError, hookimpl, hookspec
from corelet.plugin_record import PluginState
from corelet.plugins import PluginManager, make_manager
from tests.kernel.fake_site import FakeSite

HELLO: Final = """
from corelet import hookimpl

@hookimpl
def corelet_configure(app):
    app.append("hello")
"""
START: Final = "from corelet.plugins import make_manager, records; manager = make_manager()"
ASK: Final = f"{START}; app = []; manager.call_all('corelet_configure', app=app); print(app)"


@pytest.fixture
def site(tmp_path: Path) -> FakeSite:
    """Give a place to install distributions in."""
    return FakeSite(tmp_path)


def add_hello(site: FakeSite, name: str = "hello", source: str = HELLO, **declared: Any) -> None:
    declared.setdefault("plugins", {name: name})
    site.add(f"corelet-{name}", modules={name: source}, **declared)


def give_problem(plugin: object) -> str:
    """Give what is said of a plugin that can't be used."""
    with pytest.raises(PluginLoadError) as caught:
        make_manager([plugin])
    first, line = str(caught.value).splitlines()
    assert first == "cannot load every plugin:"
    return line.strip()


def make_module(name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(members)
    return module


class Greeter:
    """A plugin that does nothing wrong."""

    def __init__(self, word: str = "greeter", router: object = None) -> None:
        self.word = word
        self.router = router

    @hookimpl
    def corelet_configure(self, app: list[str]) -> None:
        app.append(self.word)

    @hookimpl
    def corelet_report(self) -> list[str] | None:
        return [self.word] if self.word else None

    @hookimpl
    def corelet_make_router(self, app: list[str]) -> object:
        return self.router


# Discovery, with distributions that are really there


def test_an_installed_plugin_is_found_and_asked(site: FakeSite) -> None:
    add_hello(site)
    assert site.run(ASK) == "['hello']"


def test_plugins_are_asked_in_the_order_of_their_names(site: FakeSite) -> None:
    for name in ("b", "c", "a"):
        add_hello(site, name, HELLO.replace('"hello"', f'"{name}"'))
    assert site.run(ASK) == "['a', 'b', 'c']"


def test_nothing_installed_is_no_error(site: FakeSite) -> None:
    assert site.run(f"{ASK}; print(records())") == "[]\n()"


def test_a_record_says_what_is_known_of_a_plugin(site: FakeSite) -> None:
    add_hello(site, version="2.1", exports={"web.Hello": "hello:Hello", "Hello": "hello:Hello"})
    report = "record, = records(); print(record, record.state, record.hooks, record.exports, repr(record.reason))"
    assert site.run(f"{START}; {report}") == (
        "hello (corelet-hello 2.1) ready ('corelet_configure',) ('Hello', 'web.Hello') ''"
    )


def test_a_distribution_that_only_exports_names_has_a_record_and_is_not_imported(site: FakeSite) -> None:
    site.add("corelet-names", exports={"web.Name": "nowhere:Name"})
    assert site.run(f"{START}; print(*records(), records()[0].state)") == "corelet-names (corelet-names 1.0) names only"


def test_metadata_is_read_once_for_the_process(site: FakeSite) -> None:
    add_hello(site)
    again = "import sys; sys.path.clear(); make_manager()"
    assert site.run(f"{START}; {again}; print(len(make_manager().records))") == "1"


@pytest.mark.parametrize("word", ["hello", "corelet-hello", "Corelet_Hello", " hello ,"])
def test_a_plugin_is_blocked_by_the_name_of_its_entry_point_or_distribution(site: FakeSite, word: str) -> None:
    add_hello(site, source="raise RuntimeError('imported')")
    report = f"{START}; record, = records(); print(record, record.state, record.reason)"
    assert site.run(report, CORELET_BLOCK=word) == (
        f"hello (corelet-hello 1.0) blocked CORELET_BLOCK={word.strip(' ,')}"
    )


def test_a_block_that_names_nothing_installed_is_an_error(site: FakeSite) -> None:
    add_hello(site, "redis-sessions", source=HELLO, plugins={"sessions": "redis-sessions"})
    site.path.joinpath("redis-sessions.py").rename(site.path / "redis.py")
    assert site.fail(START, CORELET_BLOCK="sesions,corelet-redis-sessions") == (
        "PluginLoadError: cannot load every plugin:\n"
        "  CORELET_BLOCK=sesions: no installed plugin or distribution has this name; did you mean sessions?"
    )


def test_a_plugin_that_fails_at_import_stops_the_start(site: FakeSite) -> None:
    add_hello(site, source="import nowhere")
    add_hello(site, "other")
    assert site.fail(START) == (
        "PluginLoadError: cannot load every plugin:\n"
        "  hello (corelet-hello 1.0): ModuleNotFoundError: No module named 'nowhere'\n"
        "to go on without: CORELET_BLOCK=hello"
    )


def test_a_plugin_whose_own_requirement_was_uninstalled_stops_the_start_and_says_what_to_type(site: FakeSite) -> None:
    site.add("acme", requires=["nowhere-http>=1"], plugins={"acme": "acme"}, modules={"acme": "import nowhere"})
    assert site.fail(START) == (
        "PluginLoadError: cannot load every plugin:\n"
        "  acme (acme 1.0): ModuleNotFoundError: No module named 'nowhere'; it requires nowhere-http, which is not "
        "installed: pip install nowhere-http\n"
        "to go on without: CORELET_BLOCK=acme"
    )


def test_the_way_out_works_and_keeps_what_is_blocked_already(site: FakeSite) -> None:
    for name in ("a", "b", "c"):
        add_hello(site, name, source="import nowhere")
    message = site.fail(START, CORELET_BLOCK="b")
    assert message.splitlines()[-1] == "to go on without: CORELET_BLOCK=b,a,c"
    assert site.run(ASK, CORELET_BLOCK="b,a,c") == "[]"


def test_the_traceback_of_a_failed_import_is_shown_too(site: FakeSite) -> None:
    add_hello(site, source="def broken():\n    raise OSError('no disk')\nbroken()")
    source = f"import traceback\ntry:\n    {START}\nexcept Exception:\n    print(traceback.format_exc())"
    assert "in broken" in site.run(source)


def test_a_plugin_that_ends_the_process_is_a_failed_one(site: FakeSite) -> None:
    add_hello(site, source="import sys; sys.exit('no licence')")
    assert site.fail(START).splitlines()[1] == "  hello (corelet-hello 1.0): SystemExit: no licence"


def test_metadata_that_can_not_be_read_is_a_record_too(site: FakeSite) -> None:
    site.add("corelet-torn")
    site.path.joinpath("corelet_torn-1.0.dist-info/entry_points.txt").write_text("[corelet.plugins]\ntorn\n")
    report = "from corelet.plugins import records; record, = records(); print(record, record.state, record.reason)"
    assert site.run(report).startswith("installed distributions failed their metadata can't be read: ")


def test_records_never_fail(site: FakeSite) -> None:
    add_hello(site, source="1 / 0")
    site.add("corelet-bad", plugins={"bad": "bad"}, requires=["not a requirement"])
    source = "from corelet.plugins import records; print(*(record.reason for record in records()), sep='\\n')"
    assert site.run(source, CORELET_BLOCK="x").splitlines() == [
        "its requirement 'not a requirement' is malformed",
        "ZeroDivisionError: division by zero",
        "no installed plugin or distribution has this name",
    ]


@pytest.mark.parametrize("requirement", ["corelet>=99", "Corelet >=99 ; python_version > '3'"])
def test_a_plugin_for_another_version_is_refused_before_it_is_imported(site: FakeSite, requirement: str) -> None:
    add_hello(site, source="raise RuntimeError('imported')", requires=["yarl>=1", requirement])
    assert site.fail(START) == (
        "PluginLoadError: cannot load every plugin:\n"
        f"  hello (corelet-hello 1.0): it requires corelet>=99, and corelet {corelet.__version__} is installed\n"
        "to go on without: CORELET_BLOCK=hello"
    )


@pytest.mark.parametrize("requirement", ["corelet", "corelet>=0.0.1", "corelet>=99; extra == 'new'", "corelet-x>=99"])
def test_a_requirement_that_is_met_or_does_not_apply_is_no_problem(site: FakeSite, requirement: str) -> None:
    add_hello(site, requires=[requirement])
    assert site.run(ASK) == "['hello']"


def test_a_plugin_for_a_newer_hook_api_is_refused_before_it_is_imported(site: FakeSite) -> None:
    add_hello(site, source="raise RuntimeError('imported')", hook_api={"2": "hello"})
    assert site.fail(START) == (
        "PluginLoadError: cannot load every plugin:\n"
        f"  hello (corelet-hello 1.0): it needs hook API 2, and corelet {corelet.__version__} has 1:"
        " pip install --upgrade corelet\n"
        "to go on without: CORELET_BLOCK=hello"
    )


def test_a_hook_api_that_is_no_number_is_refused(site: FakeSite) -> None:
    add_hello(site, hook_api={"two": "hello"})
    assert site.fail(START).splitlines()[1] == (
        "  hello (corelet-hello 1.0): the hook API that it needs is 'two', expected a whole number"
    )


def test_a_hook_api_that_is_there_is_no_problem(site: FakeSite) -> None:
    add_hello(site, hook_api={"1": "hello", "2": "another"})
    assert site.run(ASK) == "['hello']"


def test_a_plugin_that_exports_a_name_of_the_kernel_is_refused(site: FakeSite) -> None:
    add_hello(site, exports={"web.Response": "hello:Response"})
    assert site.fail(START).splitlines()[1] == (
        "  hello (corelet-hello 1.0): it exports web.Response, a name of the kernel"
    )


def test_names_of_the_kernel_are_refused_of_a_distribution_without_a_plugin_too(site: FakeSite) -> None:
    site.add("corelet-names", exports={"hdrs": "nowhere:hdrs"})
    assert site.fail(START).splitlines()[1] == (
        "  corelet-names (corelet-names 1.0): it exports corelet.hdrs, a name of the kernel"
    )
    assert site.run(START, CORELET_BLOCK="corelet-names") == ""


def test_two_distributions_with_a_plugin_of_one_name_are_refused(site: FakeSite) -> None:
    add_hello(site)
    site.add("acme-hello", plugins={"hello": "hello"})
    both = "acme-hello 1.0 and corelet-hello 1.0 each have a plugin of this name"
    way = "block all but one: CORELET_BLOCK=acme-hello or CORELET_BLOCK=corelet-hello"
    assert site.fail(START).splitlines()[1:3] == [
        f"  hello (acme-hello 1.0): {both}; {way}",
        f"  hello (corelet-hello 1.0): {both}; {way}",
    ]
    assert site.run(ASK, CORELET_BLOCK="acme-hello") == "['hello']"


def test_an_entry_point_can_name_an_object(site: FakeSite) -> None:
    source = HELLO.replace("@hookimpl\n", "class Hello:\n  @hookimpl\n  ").replace("(app)", "(self, app)")
    add_hello(site, source=source + "\nhello = Hello()\n", plugins={"hello": "hello:hello"})
    assert site.run(ASK) == "['hello']"


def test_only_the_given_plugins_are_used_and_imported(site: FakeSite) -> None:
    add_hello(site)
    add_hello(site, "other", source="raise RuntimeError('imported')")
    assert site.run(ASK.replace("make_manager()", "make_manager(['hello'])")) == "['hello']"


def test_an_operator_blocks_what_an_application_names(site: FakeSite) -> None:
    add_hello(site)
    assert site.run(ASK.replace("make_manager()", "make_manager(['hello'])"), CORELET_BLOCK="hello") == "[]"


def test_a_given_name_that_is_not_installed_is_an_error_with_the_near_name(site: FakeSite) -> None:
    add_hello(site, "sessions")
    assert site.fail(START.replace("make_manager()", "make_manager(['sesions'])")) == (
        "PluginLoadError: cannot load every plugin:\n"
        "  sesions: no installed plugin has this name; did you mean sessions?"
    )


def test_one_name_is_not_taken_for_a_list() -> None:
    with pytest.raises(TypeError, match=r"plugins is 'routing', expected a list: \['routing'\]"):
        make_manager("routing")


def test_giving_objects_reads_no_metadata(site: FakeSite) -> None:
    source = (
        "import importlib_metadata\n"
        "importlib_metadata.entry_points = None\n"
        "from corelet.plugins import make_manager\n"
        "make_manager([])\n"
    )
    assert site.run(source) == ""


def test_an_error_names_the_distribution_that_raised_it(site: FakeSite) -> None:
    add_hello(site, source=HELLO.replace("app.append", "no_such_name"))
    source = f"{START}\ntry: manager.call_all('corelet_configure', app=1)\nexcept NameError as e: print(e.__notes__)"
    assert site.run(source) == "['in hook corelet_configure, plugin hello (corelet-hello 1.0)']"


def test_two_installed_plugins_for_one_role_are_a_conflict_that_names_both(site: FakeSite) -> None:
    for name in ("routing", "wonder"):
        add_hello(site, name, "import corelet\n@corelet.hookimpl\ndef corelet_make_router(app): return 1")
    assert site.fail(f"{START}; manager.call_one('corelet_make_router', app=1)") == (
        "PluginConflictError: corelet_make_router is a role for one plugin, and routing (corelet-routing 1.0) and "
        "wonder (corelet-wonder 1.0) claim it; CORELET_BLOCK=routing or CORELET_BLOCK=wonder or name those that "
        "you want: plugins=[...]"
    )


# The form of a plugin


def test_a_misspelt_hook_is_an_error_with_the_near_name() -> None:
    module = make_module("hello", corelet_prepare_respons=hookimpl(lambda app: None))
    assert give_problem(module) == (
        "hello: unknown hook corelet_prepare_respons; did you mean corelet_prepare_response?"
    )


def test_a_hook_that_nothing_resembles_is_an_error_with_the_way_to_make_it_optional() -> None:
    module = make_module("hello", zzz=hookimpl(lambda: None))
    assert give_problem(module) == (
        "hello: unknown hook zzz; if the plugin with it may be missing: @hookimpl(optionalhook=True)"
    )


def test_an_optional_hook_may_be_unknown() -> None:
    def acme_started(app: object) -> None:
        raise AssertionError

    module = make_module("hello", acme_started=hookimpl(optionalhook=True)(acme_started))
    assert make_manager([module]).records[0].hooks == ("acme_started",)


def test_an_unknown_argument_is_an_error_with_the_near_name() -> None:
    module = make_module("hello", corelet_wrap_handler=hookimpl(lambda app, rout: None))
    assert give_problem(module) == "hello: corelet_wrap_handler has no argument rout; did you mean route?"


def test_an_argument_that_nothing_resembles_is_an_error_with_those_there_are() -> None:
    module = make_module("hello", corelet_mount=hookimpl(lambda zzz: None))
    assert give_problem(module) == "hello: corelet_mount has no argument zzz; it has app, where and subapp"


def test_a_default_is_an_error() -> None:
    module = make_module("hello", corelet_configure=hookimpl(lambda app=None: None))
    assert give_problem(module) == (
        "hello: corelet_configure has a default for app; a hook passes every argument: remove it"
    )


@pytest.mark.parametrize(
    ("function", "shown"),
    [(lambda *args: None, "*args"), (lambda **kwargs: None, "**kwargs"), (lambda *, app: None, "app")],
)
def test_arguments_that_a_hook_does_not_pass_are_an_error(function: Any, shown: str) -> None:
    module = make_module("hello", corelet_configure=hookimpl(function))
    assert give_problem(module) == (f"hello: corelet_configure takes {shown}; a hook passes plain arguments only")


def test_an_async_implementation_is_an_error() -> None:
    async def corelet_configure(app: object) -> None: ...

    async def corelet_lifespan(app: object) -> Any:
        yield

    wanted = "is async; a hook is a plain function, which may return an async one or an async context manager"
    for function in (corelet_configure, corelet_lifespan):
        module = make_module("hello", **{function.__name__: hookimpl(function)})
        assert give_problem(module) == f"hello: {function.__name__} {wanted}"


def test_a_hook_that_yields_without_being_a_wrapper_is_an_error() -> None:
    def corelet_lifespan(app: object) -> Generator[None, None, None]:
        yield

    assert give_problem(make_module("hello", corelet_lifespan=hookimpl(corelet_lifespan))) == (
        "hello: corelet_lifespan yields; a hook returns; around other implementations: @hookimpl(wrapper=True)"
    )


def test_wrappers_that_do_not_yield_or_are_of_the_old_style_are_errors() -> None:
    def corelet_report(app: object) -> None: ...

    old = hookimpl(hookwrapper=True)(corelet_report)
    assert give_problem(make_module("hello", corelet_report=old)) == (
        "hello: corelet_report is a wrapper of the old style: @hookimpl(wrapper=True)"
    )
    new = hookimpl(wrapper=True)(corelet_report)
    assert give_problem(make_module("hello", corelet_report=new)) == (
        "hello: corelet_report is marked as a wrapper, and does not yield"
    )


def test_a_plugin_without_an_implementation_is_an_error() -> None:
    assert give_problem(make_module("hello")) == (
        "hello: it has no hook implementation: mark its functions with @corelet.hookimpl"
    )


def test_a_forgotten_mark_is_an_error() -> None:
    module = make_module("hello", corelet_configure=lambda app: None, corelet_report=hookimpl(lambda app: None))
    assert give_problem(module) == "hello: corelet_configure is not marked: @hookimpl"


def test_a_class_is_not_taken_for_a_plugin() -> None:
    assert give_problem(Greeter) == "Greeter: it is a class; give an instance: Greeter()"


def test_all_that_is_wrong_with_a_plugin_is_said_at_once() -> None:
    module = make_module(
        "hello", corelet_configur=hookimpl(lambda app: None), corelet_report=hookimpl(lambda application: None)
    )
    assert give_problem(module) == (
        "hello: unknown hook corelet_configur; did you mean corelet_configure?; "
        "corelet_report has no argument application; it has app"
    )


@pytest.mark.parametrize(
    ("needed", "problem"),
    [
        (2, f"it needs hook API 2, and corelet {corelet.__version__} has 1: pip install --upgrade corelet"),
        ("1", "the hook API that it needs is '1', expected a whole number"),
    ],
)
def test_a_plugin_given_as_an_object_can_say_which_hook_api_it_needs(needed: object, problem: str) -> None:
    plugin = Greeter()
    plugin.corelet_hook_api = needed  # type: ignore[attr-defined]  # any object may have it
    assert give_problem(plugin) == f"Greeter: {problem}"


def test_a_plugin_given_twice_is_an_error() -> None:
    greeter = Greeter()
    with pytest.raises(PluginLoadError, match="Greeter: it is given twice"):
        make_manager([greeter, greeter])


def test_two_plugins_of_one_class_are_told_apart() -> None:
    assert [str(record) for record in make_manager([Greeter(), Greeter(), Greeter()]).records] == [
        "Greeter", "Greeter-2", "Greeter-3",
    ]  # fmt: skip


# Asking


def test_all_are_asked_in_the_order_in_which_they_were_given() -> None:
    manager = make_manager([Greeter("a"), Greeter(""), Greeter("c")])
    assert manager.call_all("corelet_report", app=None) == [["a"], ["c"]]


def test_an_implementation_can_ask_to_come_first_or_last() -> None:
    def answer(word: str, **options: Any) -> types.ModuleType:
        return make_module(word, corelet_report=hookimpl(**options)(lambda: [word]))

    manager = make_manager([answer("last", trylast=True), answer("a"), answer("b"), answer("first", tryfirst=True)])
    assert manager.call_all("corelet_report", app=None) == [["first"], ["a"], ["b"], ["last"]]


def test_a_wrapper_runs_around_the_others() -> None:
    def corelet_instrument(app: object) -> Generator[None, list[Any], list[Any]]:
        return ["before", *(yield), "after"]

    module = make_module("around", corelet_instrument=hookimpl(wrapper=True)(corelet_instrument))
    inner = make_module("inner", corelet_instrument=hookimpl(lambda: "a"))
    assert make_manager([module, inner]).call_all("corelet_instrument", app=None) == ["before", "a", "after"]


@pytest.mark.parametrize("name", ["corelet_add_hookspecs", "corelet_add_commands", "corelet_report"])
def test_where_each_plugin_is_asked_alone_a_wrapper_is_an_error(name: str) -> None:
    def wrap() -> Generator[None, None, None]:
        yield

    wrap.__name__ = name
    module = make_module("hello", **{name: hookimpl(wrapper=True)(wrap)})
    assert give_problem(module) == f"hello: {name} can't be a wrapper: each plugin is asked alone"


def test_plugins_can_be_asked_one_after_another_and_one_that_fails_keeps_no_other_from_answering() -> None:
    class Broken:
        @hookimpl(tryfirst=True)
        def corelet_report(self, app: object) -> list[str]:
            raise SystemExit(f"no {app}")

    manager = make_manager([Greeter("a"), Broken(), Greeter("")])
    (first, error), *others = manager.call_each("corelet_report", app="disk")
    assert first.name == "Broken"
    assert repr(error) == "SystemExit('no disk')"
    assert error.__notes__ == ["in hook corelet_report, plugin Broken"]
    assert [(record.name, answer) for record, answer in others] == [("Greeter", ["a"]), ("Greeter-2", None)]
    with pytest.raises(TypeError, match="corelet_make_router is exclusive: ask by call_one"):
        next(manager.call_each("corelet_make_router", app=None))


def test_a_report_has_the_lines_of_each_plugin_and_what_one_raised() -> None:
    class Plugin:
        def __init__(self, answer: Any) -> None:
            self.answer = answer

        @hookimpl
        def corelet_report(self, app: object) -> Any:
            return self.answer(app)

    def stop(app: object) -> Any:
        yield "begun"
        raise OSError("no disk")

    manager = make_manager([Plugin(lambda app: ["one", app]), Plugin(stop), Plugin(str), Plugin(lambda app: None)])
    assert list(manager.report("app")) == [
        ("Plugin", ["one", "app"]),
        ("Plugin-2", ["corelet_report raised OSError: no disk"]),
        ("Plugin-3", ["app"]),
    ]


def test_an_async_context_manager_can_be_made_by_a_decorated_function() -> None:
    @hookimpl
    @asynccontextmanager
    async def corelet_lifespan(app: object) -> Any:
        yield

    manager = make_manager([make_module("pool", corelet_lifespan=corelet_lifespan)])
    (lifespan,) = manager.call_all("corelet_lifespan", app=None)
    assert hasattr(lifespan, "__aenter__")


def test_one_plugin_fills_an_exclusive_role_or_none() -> None:
    router = object()
    manager = make_manager([Greeter(), Greeter(router=router)])
    assert manager.call_one("corelet_make_router", app=None) is router
    assert make_manager([]).call_one("corelet_make_router", app=None) is None


def test_a_conflict_names_those_who_answered_and_only_those() -> None:
    manager = make_manager([Greeter(router=1), Greeter(), Greeter(router=3)])
    with pytest.raises(PluginConflictError) as caught:
        manager.call_one("corelet_make_router", app=None)
    assert str(caught.value) == (
        "corelet_make_router is a role for one plugin, and Greeter and Greeter-3 claim it; "
        "name those that you want: plugins=[...]"
    )


def test_an_exclusive_hook_may_be_asked_again_from_within() -> None:
    class Mounter:
        @hookimpl
        def corelet_mount(self, app: PluginManager, where: str, subapp: object) -> str:
            inner = app.call_one("corelet_mount", app=app, where=where[1:], subapp=None) if where else ""
            return f"({inner})"

    manager = make_manager([Mounter()])
    assert manager.call_one("corelet_mount", app=manager, where="/a", subapp=None) == "((()))"


def test_an_error_in_an_implementation_carries_a_note() -> None:
    class Broken:
        @hookimpl
        def corelet_configure(self) -> None:
            raise KeyError("x")

    with pytest.raises(KeyError) as caught:
        make_manager([Broken()]).call_all("corelet_configure", app=None)
    assert caught.value.__notes__ == ["in hook corelet_configure, plugin Broken"]


def test_a_wrapper_is_blamed_for_its_own_errors_only() -> None:
    class Around:
        def __init__(self, error: Exception | None) -> None:
            self.error = error

        @hookimpl(wrapper=True)
        def corelet_configure(self) -> Generator[None, list[Any], list[Any]]:
            answers = yield
            if self.error is not None:
                raise self.error
            return answers

    class Broken:
        @hookimpl
        def corelet_configure(self) -> None:
            raise KeyError("x")

    with pytest.raises(KeyError) as caught:
        make_manager([Around(None), Broken()]).call_all("corelet_configure", app=None)
    assert caught.value.__notes__ == ["in hook corelet_configure, plugin Broken"]
    with pytest.raises(ValueError, match="own") as own:
        make_manager([Around(ValueError("own"))]).call_all("corelet_configure", app=None)
    assert own.value.__notes__ == ["in hook corelet_configure, plugin Around"]


def test_asking_a_hook_in_a_wrong_way_is_an_error_that_says_the_right_one() -> None:
    manager = make_manager([])
    with pytest.raises(LookupError, match=r"there is no hook corelet_repor; did you mean corelet_report\?"):
        manager.call_all("corelet_repor", app=None)
    with pytest.raises(TypeError, match="corelet_make_router is exclusive: ask by call_one"):
        manager.call_all("corelet_make_router", app=None)
    with pytest.raises(TypeError, match="corelet_report is not exclusive: ask by call_all"):
        manager.call_one("corelet_report", app=None)
    with pytest.raises(TypeError, match="corelet_wrap_handler takes app and route; given: app"):
        manager.call_all("corelet_wrap_handler", app=None)
    with pytest.raises(TypeError, match="corelet_report takes app; given: nothing"):
        manager.call_all("corelet_report")


# Plugins of plugins


class AcmeHooks:
    """The hooks of a plugin that is extensible itself."""

    @hookspec
    def corelet_acme_words(self, language: str) -> str:
        """Give a word."""
        raise NotImplementedError

    @hookspec(exclusive=True)
    def corelet_acme_voice(self) -> str:
        """Give the voice."""
        raise NotImplementedError


class Acme:
    """A plugin with hooks of its own."""

    @hookimpl
    def corelet_add_hookspecs(self, manager: PluginManager) -> None:
        manager.add_hookspecs(AcmeHooks)


class Speaker:
    """A plugin of that plugin."""

    @hookimpl
    def corelet_acme_words(self, language: str) -> str:
        return f"hello in {language}"

    @hookimpl
    def corelet_acme_voice(self) -> str:
        return "deep"


@pytest.mark.parametrize("plugins", [[Acme(), Speaker()], [Speaker(), Acme()]])
def test_a_plugin_can_have_plugins_in_any_order(plugins: list[object]) -> None:
    manager = make_manager(plugins)
    assert manager.call_all("corelet_acme_words", language="en") == ["hello in en"]
    assert manager.call_one("corelet_acme_voice") == "deep"


def test_a_plugin_whose_host_is_missing_is_an_error() -> None:
    assert give_problem(Speaker()).startswith("Speaker: unknown hook corelet_acme_voice; ")


def test_a_mistake_in_a_plugin_of_a_plugin_is_its_own() -> None:
    module = make_module("mute", corelet_acme_words=hookimpl(lambda tongue: None))
    with pytest.raises(PluginLoadError) as caught:
        make_manager([module, Acme()])
    assert str(caught.value).splitlines()[1:] == ["  mute: corelet_acme_words has no argument tongue; it has language"]


def test_a_plugin_that_fails_to_add_its_hooks_is_an_error_with_the_reason() -> None:
    class Broken:
        @hookimpl
        def corelet_add_hookspecs(self) -> None:
            raise OSError("no hooks today")

    assert give_problem(Broken()) == "Broken: corelet_add_hookspecs raised OSError: no hooks today"


def test_hooks_are_not_added_through_a_wrong_argument() -> None:
    module = make_module("hello", corelet_add_hookspecs=hookimpl(lambda plugins: None))
    assert give_problem(module) == "hello: corelet_add_hookspecs has no argument plugins; it has manager"


def test_one_name_for_two_hooks_is_an_error() -> None:
    class Twin:
        @hookimpl
        def corelet_add_hookspecs(self, manager: PluginManager) -> None:
            manager.add_hookspecs(AcmeHooks)

    with pytest.raises(PluginLoadError, match="Twin: corelet_add_hookspecs raised ValueError"):
        make_manager([Acme(), Twin()])


def test_a_plugin_can_bring_further_plugins() -> None:
    class Bringer:
        @hookimpl
        def corelet_add_hookspecs(self, manager: PluginManager) -> None:
            manager.register(Speaker(), "speaker")

    manager = make_manager([Bringer(), Acme()])
    assert [record.name for record in manager.records] == ["Bringer", "Acme", "speaker"]
    assert manager.call_one("corelet_acme_voice") == "deep"


def test_a_plugin_can_join_later_and_is_asked_before() -> None:
    manager = make_manager([Greeter("a")])
    manager.register(Greeter("late"))
    assert manager.call_all("corelet_report", app=None) == [["late"], ["a"]]
    assert [record.name for record in manager.records] == ["Greeter", "Greeter-2"]
    with pytest.raises(PluginLoadError, match="Greeter: it is a class"):
        manager.register(Greeter)


def test_one_function_can_implement_a_hook_under_another_name() -> None:
    class Both:
        @hookimpl
        def corelet_report(self) -> list[str]:
            return ["a"]

        @hookimpl(specname="corelet_report")
        def report_more(self) -> list[str]:
            return ["b"]

    manager = make_manager([Both()])
    assert sorted(manager.call_all("corelet_report", app=None)) == [["a"], ["b"]]


def test_managers_share_nothing() -> None:
    first, second = make_manager([Acme(), Speaker()]), make_manager([Greeter()])
    assert first.records != second.records
    with pytest.raises(LookupError):
        second.call_one("corelet_acme_voice")


def test_a_manager_is_made_in_few_steps() -> None:
    greeter = Greeter()
    make_manager([greeter])
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        make_manager([greeter])
    finally:
        sys.setprofile(None)
    assert calls < 3000  # all together a third of a millisecond where nothing else runs


def test_states_are_words_for_people() -> None:
    assert [str(state) for state in PluginState] == ["ready", "blocked", "failed", "names only"]
