"""Plugins of strangers, built and installed as distributions, do what first-party ones do; what is wrong is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.distributions.conftest import Environment, With
from tests.distributions.projects import PROJECTS, ROOT

SERVE_HELLO = "ask(web.Application(handler=hello))"


# What plugins do


def test_the_smallest_plugin_changes_every_response(with_: With) -> None:
    assert with_("acme-hello").run(SERVE_HELLO) == "200 OK | X-Served-By: corelet | hello"
    assert with_().run(SERVE_HELLO) == "200 OK | hello"


def test_the_readmes_plugin_is_found_as_soon_as_it_is_installed(with_: With) -> None:
    hello = with_("corelet-hello")
    assert hello.run(SERVE_HELLO) == "200 OK | X-Served-By: corelet | hello"
    shown = hello.command("plugins").stdout
    guide = (ROOT / "docs" / "plugin-guide.md").read_text(encoding="utf-8")
    assert f"```text\n{shown}```" in guide


def test_the_guides_whole_plugin_is_a_distribution(with_: With) -> None:
    example = (ROOT / "docs" / "ratelimit" / "example.py").read_text(encoding="utf-8").replace("from __future__", "# ")
    limited = f"{example.replace('requests=100, seconds=60', 'requests=1, seconds=3600')}\nask(app, GET, GET)"
    found = with_("corelet-ratelimit").run(limited)
    assert found == "200 OK | hello\n429 Too Many Requests | 429: Too Many Requests"


ROUTED = """
app = web.Application()
app.router.add("", hello)
print(type(app.router).__name__, web.FirstSegment is type(app.router))
ask(app)
"""


def test_another_router_replaces_ours(with_: With) -> None:
    assert with_("acme-router").run(ROUTED) == "FirstSegment True\n200 OK | hello"
    both = with_("acme-router", "corelet-routing")
    assert both.run(ROUTED, CORELET_BLOCK="routing") == "FirstSegment True\n200 OK | hello"
    chosen = ROUTED.replace("Application()", "Application(plugins=['acme'])")
    assert both.run(chosen) == "FirstSegment True\n200 OK | hello"


def test_two_routers_are_a_conflict_that_names_both(with_: With) -> None:
    both = with_("acme-router", "corelet-routing")
    assert both.fail("web.Application().router") == (
        "PluginConflictError: corelet_make_router is a role for one plugin, and acme (acme-router 1.2) and "
        "routing (corelet-routing 0.1.0) claim it; CORELET_BLOCK=acme or CORELET_BLOCK=routing or name those that "
        "you want: plugins=[...]"
    )


def test_a_plugin_has_plugins_whatever_their_names(with_: With) -> None:
    words = "import corelet; print(corelet.join_words(web.Application(handler=hello)))"
    assert with_("acme-words").run(words) == ""
    assert with_("acme-words", "acme-more-words").run(words) == "good, morning"


def test_a_plugin_of_a_plugin_alone_is_an_error(with_: With) -> None:
    assert with_("acme-more-words").fail(SERVE_HELLO) == (
        "PluginLoadError: cannot load every plugin:\n"
        "  a-more-words (acme-more-words 1.2): unknown hook corelet_words_separator; if the plugin with it may be "
        "missing: @hookimpl(optionalhook=True); unknown hook corelet_words_words; if the plugin with it may be "
        "missing: @hookimpl(optionalhook=True)\n"
        "to go on without: CORELET_BLOCK=a-more-words"
    )


def test_a_plugin_adds_a_command_to_the_installed_program(with_: With) -> None:
    greeting = with_("acme-greet")
    done = greeting.command("greet", "--name", "alice")
    assert (done.returncode, done.stdout, done.stderr) == (7, "hello alice\n", "")
    assert re.search(r"^    greet +greet somebody$", greeting.command("--help").stdout, re.MULTILINE)
    missing = with_().command("greet")
    assert missing.returncode == 2
    assert "invalid choice: 'greet'" in missing.stderr


BROKEN = "async def fail(request): raise KeyError('x')\nimport logging; logging.disable()\n"


def test_a_plugin_renders_the_errors_of_handlers_and_of_the_parser(with_: With) -> None:
    source = f"{BROKEN}ask(web.Application(handler=fail), GET, b'nonsense\\r\\n\\r\\n')"
    assert with_("acme-errors").run(source) == (
        "500 Internal Server Error | sorry: KeyError at /\n"
        "400 Bad Request | sorry: RemoteProtocolError at no request"
    )  # fmt: skip


def test_a_plugin_watches_connections_and_requests(with_: With) -> None:
    source = "ask(web.Application(handler=hello), GET, b'nonsense\\r\\n\\r\\n'); print(*web.seen, sep=', ')"
    assert with_("acme-watch").run(source).splitlines()[-1] == (
        "made, started /, finished 200, lost, made, refused 400, lost"
    )


def test_all_of_them_work_together(with_: With) -> None:
    everything = with_(
        "acme-hello", "acme-words", "acme-more-words", "acme-greet", "acme-errors", "acme-watch", "corelet-routing"
    )
    source = (
        "app = web.Application(); app.router.add_get('/', hello); ask(app)\n"
        "print(*(f'{record} {record.state}' for record in app.plugins.records), sep='\\n')"
    )
    assert everything.run(source).splitlines() == [
        "200 OK | X-Served-By: corelet | hello",
        "a-more-words (acme-more-words 1.2) ready",
        "errors (acme-errors 1.2) ready",
        "greet (acme-greet 1.2) ready",
        "hello (acme-hello 1.2) ready",
        "routing (corelet-routing 0.1.0) ready",
        "watch (acme-watch 1.2) ready",
        "words (acme-words 1.2) ready",
    ]


# What is wrong with one

#: Distribution -> the plugin's name, and what is said of it.
FAULTS = {
    "acme-torn": ("torn", "ModuleNotFoundError: No module named 'acme_missing'"),
    "acme-newer": ("newer", "it requires corelet>=7.0, and corelet 0.1.0 is installed"),
    "acme-newer-hooks": (
        "newer-hooks",
        "it needs hook API 999, and corelet 0.1.0 has 1: pip install --upgrade corelet",
    ),
    "acme-misspelt": (
        "misspelt",
        "unknown hook corelet_prepare_respons; did you mean corelet_prepare_response?",
    ),
    "acme-argument": ("argument", "corelet_prepare_response has no argument apps; did you mean app?"),
    "acme-async": (
        "asynchronous",
        (
            "corelet_prepare_response is async; a hook is a plain function, which may return an async one or an "
            "async context manager"
        ),
    ),
    "acme-empty": ("empty", "it has no hook implementation: mark its functions with @corelet.hookimpl"),
}


@pytest.mark.parametrize("distribution", FAULTS)
def test_a_plugin_that_can_not_be_used_stops_the_start_and_says_why(
    environment: Environment, distribution: str
) -> None:
    name, reason = FAULTS[distribution]
    assert With(environment)(distribution).fail(SERVE_HELLO) == (
        "PluginLoadError: cannot load every plugin:\n"
        f"  {name} ({distribution} 1.2): {reason}\n"
        f"to go on without: CORELET_BLOCK={name}"
    )


def test_the_ways_out_of_a_failed_start_work(with_: With) -> None:
    interpreter = with_("acme-hello", *FAULTS)
    way = interpreter.fail(SERVE_HELLO).rpartition("CORELET_BLOCK=")[2]
    assert interpreter.run(SERVE_HELLO, CORELET_BLOCK=way) == "200 OK | X-Served-By: corelet | hello"
    assert interpreter.run("ask(web.Application(handler=hello, plugins=[]))") == "200 OK | hello"


def test_all_that_is_wrong_is_said_at_once_and_the_command_shows_it(with_: With) -> None:
    interpreter = with_("acme-hello", *FAULTS)
    faults = sorted((name, distribution, reason) for distribution, (name, reason) in FAULTS.items())
    assert interpreter.fail(SERVE_HELLO).splitlines() == [
        "PluginLoadError: cannot load every plugin:",
        *(f"  {name} ({distribution} 1.2): {reason}" for name, distribution, reason in faults),
        "to go on without: CORELET_BLOCK=argument,asynchronous,empty,misspelt,newer,newer-hooks,torn",
    ]
    done = interpreter.command("plugins", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = {
        plugin["distribution"]: (plugin["state"], plugin["reason"]) for plugin in json.loads(done.stdout)["plugins"]
    }
    assert found == {
        "acme-hello": ("ready", ""),
        **{distribution: ("failed", reason) for distribution, (_, reason) in FAULTS.items()},
    }


@pytest.mark.parametrize("word", ["hello", "acme-hello", "Acme_Hello"])
def test_a_plugin_is_blocked_by_its_name_or_its_distributions(environment: Environment, word: str) -> None:
    interpreter = With(environment)("acme-hello")
    assert interpreter.run(SERVE_HELLO, CORELET_BLOCK=word) == "200 OK | hello"
    shown = interpreter.command("plugins", CORELET_BLOCK=word).stdout
    assert shown == (
        "NAME   STATE    DISTRIBUTION\n"
        "hello  blocked  acme-hello 1.2\n"
        f"       reason   CORELET_BLOCK={word}\n"
    )  # fmt: skip


def test_a_block_of_nothing_is_an_error(with_: With) -> None:
    assert with_("acme-hello").fail(SERVE_HELLO, CORELET_BLOCK="helo") == (
        "PluginLoadError: cannot load every plugin:\n"
        "  CORELET_BLOCK=helo: no installed plugin or distribution has this name; did you mean hello?"
    )


def test_two_plugins_of_one_name_are_an_error_that_names_both(with_: With) -> None:
    twins = with_("acme-hello", "acme-twin")
    assert twins.fail(SERVE_HELLO) == (
        "PluginLoadError: cannot load every plugin:\n"
        "  hello (acme-hello 1.2): acme-hello 1.2 and acme-twin 1.2 each have a plugin of this name; block all but "
        "one: CORELET_BLOCK=acme-hello or CORELET_BLOCK=acme-twin\n"
        "  hello (acme-twin 1.2): acme-hello 1.2 and acme-twin 1.2 each have a plugin of this name; block all but "
        "one: CORELET_BLOCK=acme-hello or CORELET_BLOCK=acme-twin\n"
        "to go on without: CORELET_BLOCK=hello"
    )
    assert twins.run(SERVE_HELLO, CORELET_BLOCK="acme-twin") == "200 OK | X-Served-By: corelet | hello"


def test_one_public_name_of_two_distributions_is_a_conflict_that_names_both(with_: With) -> None:
    twins = with_("acme-router", "acme-twin")
    assert twins.fail("web.FirstSegment") == (
        "PluginConflictError: web.FirstSegment is exported by acme-router and acme-twin; block one: "
        "CORELET_BLOCK=acme-router or CORELET_BLOCK=acme-twin"
    )
    assert twins.run("print(web.FirstSegment.__name__)", CORELET_BLOCK="acme-twin") == "FirstSegment"


def test_a_public_name_of_a_plugin_that_can_not_be_used_says_why(with_: With) -> None:
    assert with_("acme-newer").fail("web.Newer") == (
        "PluginLoadError: web.Newer comes with acme-newer 1.2, which can't be used: it requires corelet>=7.0, and "
        "corelet 0.1.0 is installed"
    )
    assert with_("acme-newer").fail("web.Newer", CORELET_BLOCK="newer") == (
        "MissingPluginError: web.Newer comes with acme-newer 1.2, which is blocked: CORELET_BLOCK=newer"
    )


def test_every_project_is_used_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in PROJECTS if f'"{name}"' not in source] == []
