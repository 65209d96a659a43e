from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yarl import URL

from corelet import web
from corelet_routing import (
    AbstractResource,
    DynamicResource,
    PlainResource,
    PrefixResource,
    Resource,
    SystemRoute,
    UrlDispatcher,
    UrlMappingMatchInfo,
)
from tests.routing.stand_in import Asked, answer, resolve


class Mount(PrefixResource):
    """Answers GET for its prefix and all below it."""

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix)
        self.routes = PlainResource("/")
        self.routes.add_route("GET", answer)

    def url_for(self, **kwargs: str) -> URL:
        return URL(self.canonical)

    def __len__(self) -> int:
        return len(self.routes)

    def __iter__(self) -> Any:
        return iter(self.routes)

    async def resolve(self, request: Any) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        assert self.covers(request.match_path)
        route = self.routes.methods.get(request.method)
        return None if route is None else UrlMappingMatchInfo({}, route), {"GET"}


def make_router(*paths: str) -> UrlDispatcher:
    router = UrlDispatcher()
    for path in paths:
        router.add_get(path, answer)
    router.freeze()
    return router


# The rule, against a scan of all resources in their order.


class Variable(NamedTuple):
    expression: str


TEXTS = st.sampled_from(["", "a", "b", "ab", "a.b", "é", "1", "-", "a/b", "a%b"])
VARIABLES = st.sampled_from(["[^{}/]+", "[0-9]+", "[ab]*", "[^/]*", r"\w+", ".+", ".*", "a|a/b", "(?s:.)"]).map(
    Variable
)
SEGMENTS = st.one_of(
    TEXTS.map(lambda text: [text]),
    VARIABLES.map(lambda variable: [variable]),
    st.lists(st.one_of(TEXTS, VARIABLES), min_size=1, max_size=3),
)
METHODS = st.lists(st.sampled_from(["GET", "POST", "*"]), min_size=1, max_size=2, unique=True).map(sorted)
PATHS = st.lists(
    st.sampled_from(
        ["", "a", "b", "ab", "ba", "a.b", "é", "1", "12", "a1", "1-a", "a/b", "a%b", "{a}", "{", "a}", "aé1"]
    ),
    max_size=4,
)


class Rule(NamedTuple):
    """A resource as the scan knows it."""

    segments: list[list[str | Variable]]
    methods: list[str]
    is_mount: bool = False

    @property
    def pattern(self) -> str:
        names = iter("uvwxyzmnopqrst")
        return "/" + "/".join("".join(self._write(part, names) for part in segment) for segment in self.segments)

    @staticmethod
    def _write(part: str | Variable, names: Any) -> str:
        if isinstance(part, Variable):
            return f"{{{next(names)}:{part.expression}}}"
        return part.replace("%", "%25").replace("/", "%2F")

    @property
    def prefix(self) -> str:
        return self.pattern.rstrip("/")

    def find(self, path: str) -> dict[str, str] | None:
        """Match a path whose every character but slash and percent within segments stands for itself."""
        if self.is_mount:
            return {} if path == self.prefix or path.startswith(self.prefix + "/") else None
        names = iter("uvwxyzmnopqrst")
        source = "/" + "/".join(
            "".join(
                f"(?P<{next(names)}>{part.expression})"
                if isinstance(part, Variable)
                else re.escape(part.replace("%", "%25").replace("/", "%2F"))
                for part in segment
            )
            for segment in self.segments
        )
        found = re.fullmatch(source, path)
        if found is None:
            return None
        return {name: value.replace("%2F", "/").replace("%25", "%") for name, value in found.groupdict().items()}


RULES = st.builds(Rule, st.lists(SEGMENTS, min_size=1, max_size=3), METHODS, st.just(False))
MOUNTS = st.builds(
    Rule,
    st.lists(st.sampled_from(["a", "b", "é"]).map(lambda text: [text]), max_size=2),
    st.just(["GET"]),
    st.just(True),
)


def scan(rules: list[Rule], method: str, path: str) -> Any:
    """The rule of the dispatcher, word for word: index and values of who answers, or the methods of all that match."""
    allowed: set[str] = set()
    for index, rule in enumerate(rules):
        values = rule.find(path)
        if values is None:
            continue
        if method in rule.methods or "*" in rule.methods:
            return index, values
        allowed.update(rule.methods)
    return sorted(allowed)


def make_resource(rule: Rule) -> AbstractResource:
    if rule.is_mount:
        return Mount(rule.prefix)
    pattern = rule.pattern
    resource: Resource = DynamicResource(pattern) if "{" in pattern else PlainResource(pattern)
    for method in sorted(rule.methods, reverse=True):  # "*" last
        resource.add_route(method, answer)
    return resource


def look(router: UrlDispatcher, resources: list[AbstractResource], method: str, raw_path: str) -> Any:
    info = resolve(router, raw_path, method)
    if info.http_exception is None:
        owner = next(
            index for index, resource in enumerate(resources) if any(route is info.route for route in resource)
        )
        return owner, dict(info)
    return sorted(getattr(info.http_exception, "allowed_methods", ()))


@settings(max_examples=1500)
@given(
    rules=st.lists(st.one_of(RULES, RULES, RULES, MOUNTS), max_size=8),
    asked=st.lists(st.tuples(st.sampled_from(["GET", "POST", "PUT"]), PATHS), min_size=1, max_size=8),
)
@example([Rule([["a"]], ["GET"]), Rule([[Variable(".+")]], ["POST"]), Rule([["a"]], ["POST"])], [("POST", ["a"])])
@example([Rule([[Variable(".*")]], ["POST"]), Rule([["a"]], ["GET"])], [("GET", ["a"]), ("PUT", ["a"])])
@example([Rule([["a"]], ["*"]), Rule([["b"]], ["GET"]), Rule([["a"]], ["GET"])], [("GET", ["a"])])
def test_first_registered_match_wins(rules, asked):
    resources = [make_resource(rule) for rule in rules]
    router = UrlDispatcher()
    for resource in resources:
        router.register_resource(resource)
    for freeze in (lambda: None, router.freeze):
        freeze()
        for method, segments in asked:
            path = "/" + "/".join(segment.replace("%", "%25").replace("/", "%2F") for segment in segments)
            raw_path = "/" + "/".join(quote(segment, safe="") for segment in segments)
            assert look(router, resources, method, raw_path) == scan(rules, method, path)


@settings(max_examples=300)
@given(rules=st.lists(RULES, max_size=8), segments=PATHS)
def test_a_path_of_its_own_finds_each_resource(rules, segments):
    """What a resource resolves alone it resolves in a router, where nothing else is asked for by that method."""
    router = UrlDispatcher()
    for index, rule in enumerate(rules):
        resource = DynamicResource(rule.pattern)
        resource.add_route(f"M{index}", answer)
        router.register_resource(resource)
    router.freeze()
    raw_path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    for index, resource in enumerate(router.resources()):
        alone, methods = _run(resource.resolve(Asked(f"M{index}", raw_path)))
        info = resolve(router, raw_path, f"M{index}")
        assert (info.http_exception is None) == (alone is not None) == bool(methods)
        assert alone is None or (dict(info), info.route) == (dict(alone), alone.route)


def _run(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a lookup waited")


# What it answers.


def test_plain_path_is_found():
    info = resolve(make_router("/", "/a", "/a/b"), "/a/b")
    assert (info.route.resource.canonical, dict(info)) == ("/a/b", {})


def test_match_infos_are_not_shared():
    router = make_router("/a", "/{x}")
    first = resolve(router, "/a")
    first["mine"] = "1"
    assert resolve(router, "/a") == {}
    assert resolve(router, "/b") is not resolve(router, "/b")


def test_missing_path_is_404():
    info = resolve(make_router("/a"), "/b")
    assert info.http_exception.status == 404
    assert isinstance(info.route, SystemRoute)
    assert info.get_info() == {"http_exception": info.http_exception}
    assert repr(info) == "<MatchInfo: <SystemRoute 404: Not Found>>"


def test_missing_method_is_405_with_the_methods_of_all_matches():
    router = UrlDispatcher()
    router.add_post("/a", answer)
    router.add_get("/{x}", answer)
    router.add_put("/b", answer)
    error = resolve(router, "/a", "DELETE").http_exception
    assert (error.status, error.headers["Allow"]) == (405, "GET,HEAD,POST")


def test_later_resource_answers_a_method_that_an_earlier_one_lacks():
    router = UrlDispatcher()
    router.add_get("/a", answer)
    later = router.add_post("/{x}", answer)
    router.freeze()
    assert resolve(router, "/a", "POST").route is later


def test_pattern_registered_earlier_answers_before_a_plain_path():
    router = make_router("/{x}", "/a")
    assert resolve(router, "/a").route.resource.canonical == "/{x}"


def test_route_of_no_match_is_the_same_object_each_time():
    router = UrlDispatcher()
    router.add_post("/a", answer)
    assert resolve(router, "/x").route is resolve(router, "/y").route
    assert resolve(router, "/a").route is resolve(router, "/a", "PUT").route
    assert hash(resolve(router, "/x").route) != hash(resolve(router, "/a").route)


@pytest.mark.parametrize("path", ["*", "", "a"])
def test_target_without_a_path_matches_nothing(path):
    assert resolve(make_router("/", "/a", "/{x:.*}"), path, "GET").http_exception.status == 404


def test_any_method_is_answered_by_a_star():
    router = UrlDispatcher()
    route = router.add_route("*", "/any/{tail:.*}", answer)
    router.freeze()
    assert {resolve(router, "/any/a/b", method).route for method in ("GET", "BREW", "*")} == {route}


def test_star_answers_what_other_methods_leave():
    router = UrlDispatcher()
    get = router.add_get("/a", answer, allow_head=False)
    rest = router.add_route("*", "/a", answer)
    router.freeze()
    assert [resolve(router, "/a", method).route for method in ("GET", "HEAD")] == [get, rest]


def test_head_comes_with_get_unless_refused():
    router = UrlDispatcher()
    router.add_get("/a", answer)
    router.add_get("/b", answer, allow_head=False)
    assert resolve(router, "/a", "HEAD").http_exception is None
    assert resolve(router, "/b", "HEAD").http_exception.headers["Allow"] == "GET"


def test_mount_is_asked_in_its_rank():
    router = UrlDispatcher()
    before = router.add_get("/api/before", answer)
    mount = Mount("/api")
    router.register_resource(mount)
    router.add_get("/api/after", answer)
    after = router.add_post("/api/after", answer)
    router.freeze()
    assert resolve(router, "/api/before").route is before
    assert resolve(router, "/api/after").route in list(mount)
    assert resolve(router, "/api/after", "POST").route is after
    assert resolve(router, "/apis").http_exception.status == 404
    assert resolve(router, "/api", "PUT").http_exception.headers["Allow"] == "GET"


def test_resource_of_unknown_kind_is_asked_for_every_path():
    asked: list[str] = []

    class Listener(AbstractResource):
        canonical = "anything"

        async def resolve(self, request: Any) -> tuple[None, set[str]]:
            asked.append(request.match_path)
            return None, set()

        def url_for(self, **kwargs: str) -> URL:
            raise NotImplementedError

        def add_prefix(self, prefix: str) -> None:
            raise NotImplementedError

        def get_info(self) -> dict[str, Any]:
            return {}

        def raw_match(self, path: str) -> bool:
            return False

        def __len__(self) -> int:
            return 0

        def __iter__(self) -> Any:
            return iter(())

    router = UrlDispatcher()
    router.register_resource(Listener())
    found = router.add_get("/a", answer)
    router.freeze()
    assert resolve(router, "/a").route is found
    resolve(router, "*", "OPTIONS")
    resolve(router, "/b/c")
    assert asked == ["/a", "*", "/b/c"]


def test_resource_that_resolves_by_itself_is_not_overruled():
    class Closed(PlainResource):
        async def resolve(self, request: Any) -> tuple[None, set[str]]:
            return None, set()

    router = UrlDispatcher()
    closed = Closed("/a")
    closed.add_route("GET", answer)
    router.register_resource(closed)
    router.freeze()
    assert resolve(router, "/a").http_exception.status == 404


def test_moved_resource_is_found_at_its_new_path_only_and_in_its_rank():
    router = make_router("/a", "/{x}/{y}", "/b/{z}")
    moved = next(iter(router.resources()))
    assert resolve(router, "/a").http_exception is None
    router.unindex_resource(moved)
    assert resolve(router, "/a").http_exception.status == 404
    moved.add_prefix("/b")
    router.index_resource(moved)
    assert resolve(router, "/a").http_exception.status == 404
    assert resolve(router, "/b/a").route.resource is moved


def test_unknown_resource_is_not_unindexed():
    with pytest.raises(ValueError, match=r"none of this router's resources"):
        make_router("/a").unindex_resource(PlainResource("/a"))


# Registration.


def test_frozen_router_takes_nothing():
    router = UrlDispatcher()
    resource = router.add_resource("/a")
    router.freeze()
    with pytest.raises(RuntimeError, match="routes are added before the application starts"):
        router.add_get("/b", answer)
    with pytest.raises(RuntimeError, match="routes are added before the application starts"):
        resource.add_route("GET", answer)


def test_neighbouring_routes_of_one_path_share_a_resource():
    router = UrlDispatcher()
    first = router.add_get("/a/{x}", answer)
    assert router.add_post("/a/{x}", answer).resource is first.resource
    router.add_get("/b", answer)
    assert router.add_put("/a/{x}", answer).resource is not first.resource
    assert router.add_delete("/a/{x}", answer, name="other").resource.name == "other"
    assert len(router.resources()) == 4


def test_each_method_has_its_own_way_to_add():
    router = UrlDispatcher()
    for add in (
        router.add_head,
        router.add_options,
        router.add_post,
        router.add_put,
        router.add_patch,
        router.add_delete,
    ):
        add("/a", answer)
    router.add_get("/a", answer, allow_head=False)
    assert {route.method for route in router.routes()} == {"HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "GET"}


def test_views_list_resources_and_routes_in_order():
    router = UrlDispatcher()
    first = router.add_get("/a", answer)
    second = router.add_route("*", "/b", answer)
    assert [resource.canonical for resource in router.resources()] == ["/a", "/b"]
    assert [route.method for route in router.routes()] == ["HEAD", "GET", "*"]
    assert (len(router.resources()), len(router.routes())) == (2, 3)
    assert first.resource in router.resources()
    assert second in router.routes()


def test_routes_of_a_mount_are_listed():
    router = UrlDispatcher()
    router.register_resource(mount := Mount("/m"))
    assert list(router.routes()) == list(mount)


def test_router_is_a_mapping_of_named_resources():
    router = UrlDispatcher()
    user = router.add_get("/users/{id}", answer, name="user.show").resource
    router.add_get("/unnamed", answer)
    assert dict(router) == {"user.show": user} == dict(router.named_resources())
    assert "user.show" in router
    assert "other" not in router
    assert len(router) == 1
    assert str(router["user.show"].url_for(id="5")) == "/users/5"
    with pytest.raises(TypeError):
        router.named_resources()["x"] = user  # type: ignore[index]  # it is read-only


@pytest.mark.parametrize("name", ["a", "a.b", "a:b", "a-b", "_x1", "é"])
def test_name_is_made_of_identifiers(name):
    assert UrlDispatcher().add_resource("/a", name=name).name == name


@pytest.mark.parametrize("name", ["", "1a", "a b", "a..b", "a/b", "a."])
def test_name_of_anything_else_is_refused(name):
    with pytest.raises(ValueError, match=re.escape(f"{name!r} must be identifiers joined by")):
        UrlDispatcher().add_resource("/a", name=name)


@pytest.mark.parametrize("name", ["class", "a.import", "async-b"])
def test_name_with_a_keyword_is_refused(name):
    with pytest.raises(ValueError, match="has the Python keyword"):
        UrlDispatcher().add_resource("/a", name=name)


def test_name_that_is_taken_is_refused():
    router = UrlDispatcher()
    router.add_get("/a", answer, name="a")
    with pytest.raises(ValueError, match=re.escape("'a' is taken by <PlainResource 'a' /a>")):
        router.add_get("/b", answer, name="a")
    assert len(router.resources()) == 1


def test_static_files_are_a_port_of_another_plugin():
    source = 'from corelet import web; web.UrlDispatcher().add_static("/a", "/tmp")'
    command = [sys.executable, "-c", source]
    done = subprocess.run(
        command, check=False, env={**os.environ, "CORELET_BLOCK": "static"}, capture_output=True, text=True
    )
    # Where that plugin is not installed its version is not said.
    words = r"MissingPluginError: web\.StaticResource comes with .*static.*, which is blocked: CORELET_BLOCK=static"
    assert re.search(words, done.stderr)


def test_static_files_come_from_who_exports_them(monkeypatch):
    made: dict[str, Any] = {}

    class Files(Mount):
        def __init__(self, prefix: str, path: str, **kwargs: Any) -> None:
            super().__init__(prefix)
            made.update(kwargs, path=path)

    monkeypatch.setitem(vars(web), "StaticResource", Files)
    router = UrlDispatcher()
    files = router.add_static("/static", "/tmp", show_index=True)
    router.freeze()
    assert resolve(router, "/static/a").route in list(files)
    assert made == {
        "path": "/tmp",
        "name": None,
        "expect_handler": None,
        "chunk_size": 262144,
        "show_index": True,
        "follow_symlinks": False,
        "append_version": False,
    }


# Cost.


def test_no_path_is_remembered():
    router = make_router("/a", "/{x}", "/{x}/{t:.*}")
    before = repr(vars(router))
    for number in range(1000):
        resolve(router, f"/{number}/missing/{number}")
        resolve(router, f"/{number}")
    assert repr(vars(router)) == before


@pytest.mark.parametrize(
    "form",
    [
        "/r{}/{{x}}",
        "/{{x}}/r{}",
        "/r{}-{{x}}",
        "/{{x}}-r{}",
        "/r{}/{{x:[0-9]+}}",
        "/{{x:[0-9]+}}/r{}",
        "/r{}/{{x:.*}}",
        "/a/{{x:.*}}/r{}",
        "/r{}",
    ],
)
def test_last_of_two_thousand_resources_takes_the_steps_of_the_first(form):
    router = make_router(*(form.format(f"{number:04}") for number in range(2000)))
    paths = [re.sub(r"\{.*\}", "12", form.format(f"{number:04}")) for number in (0, 1999)]
    steps = [_count_steps(router, path) for path in paths]
    assert steps[0] == steps[1] < 120


def _count_steps(router: UrlDispatcher, path: str) -> int:
    steps = 0

    def count(frame: Any, event: str, _: Any) -> Any:
        nonlocal steps
        steps += event == "line"
        return count

    watching = sys.gettrace()  # coverage may be
    sys.settrace(count)
    try:
        info = resolve(router, path)
    finally:
        sys.settrace(watching)
    assert info.http_exception is None
    return steps


# What resources of another make can do.


class AtOnce(Mount):
    """Answers without a wait, or says that it has to be awaited."""

    is_ready = True

    def find(self, request: Any) -> Any:
        return (UrlMappingMatchInfo({"by": "find"}, next(iter(self))), {"GET"}) if self.is_ready else None

    async def resolve(self, request: Any) -> Any:
        return UrlMappingMatchInfo({"by": "resolve"}, next(iter(self))), {"GET"}


def test_resource_may_answer_at_once_or_be_awaited():
    router = UrlDispatcher()
    router.register_resource(mount := AtOnce("/m"))
    assert router.find(Asked("GET", "/m/x"))["by"] == "find"
    mount.is_ready = False
    assert router.find(Asked("GET", "/m/x")) is None
    assert resolve(router, "/m/x")["by"] == "resolve"


def test_resource_that_finds_nothing_leaves_its_methods():
    class Lacking(Mount):
        def find(self, request: Any) -> Any:
            return None, {"PUT"}

    router = UrlDispatcher()
    router.register_resource(Lacking("/m"))
    router.add_post("/m/{x}", answer)
    assert router.find(Asked("GET", "/m/x")).http_exception.allowed_methods == {"POST", "PUT"}
    assert router.find(Asked("POST", "/m/x")).http_exception is None


def test_resource_may_go_before_all_that_were_registered_earlier():
    class First(AtOnce):
        goes_first = True

    router = UrlDispatcher()
    router.add_get("/plain", answer)
    router.add_get("/{x}", answer)
    router.register_resource(AtOnce("/"))
    router.register_resource(first := First("/"))
    router.freeze()
    for path in ("/plain", "/x", "/a/b"):
        assert router.find(Asked("GET", path)).route in list(first)
    assert [type(each).__name__ for each in router.resources()][-2:] == ["AtOnce", "First"]


def test_resource_tells_what_it_is_certain_of():
    class Certain(AtOnce):
        @property
        def certain(self) -> Any:
            return {"/m/sure": {"GET": (sure, ("inner",))}}

    router = UrlDispatcher()
    sure = UrlDispatcher().add_get("/other", answer)
    router.add_post("/m/sure", answer)
    router.register_resource(Certain("/m"))
    router.post_init(web.Application(plugins=["routing"]))
    router.freeze()
    found = router.find(Asked("GET", "/m/sure"))
    assert (found.route, found.apps[1:], dict(found)) == (sure, ("inner",), {})
    assert router.find(Asked("POST", "/m/sure")).route is not sure
    assert router.find(Asked("GET", "/m/other"))["by"] == "find"
    assert set(router.certain) == {"/m/sure"}


def test_router_moves_below_a_prefix_with_all_that_comes_later():
    router = UrlDispatcher()
    router.add_get("/a", answer)
    router.add_get("/b/{x}", answer)
    router.add_prefix("/in")
    router.add_get("/late", answer)
    router.add_prefix("/out")
    resource = router.add_get("/later/{y}", answer).resource
    assert router.add_post("/later/{y}", answer).resource is resource
    paths = ["/out/in/a", "/out/in/b/{x}", "/out/in/late", "/out/in/later/{y}"]
    assert [each.canonical for each in router.resources()] == paths
    router.freeze()
    for path in paths:
        assert resolve(router, path.replace("{", "").replace("}", "")).http_exception is None
    assert resolve(router, "/in/a").http_exception is not None


def test_router_that_has_started_moves_no_more():
    router = UrlDispatcher()
    with pytest.raises(ValueError, match="'in' is no prefix"):
        router.add_prefix("in")
    router.freeze()
    with pytest.raises(RuntimeError, match="can't be moved below '/in' any more: its application has started"):
        router.add_prefix("/in")
