from __future__ import annotations

import re

import pytest
from yarl import URL

from corelet_routing import DynamicResource, PlainResource, PrefixResource, ResourceRoute
from tests.routing.stand_in import Asked, answer


class Prefix(PrefixResource):
    def url_for(self, **kwargs: str) -> URL:
        return URL(self.canonical)

    def __len__(self) -> int:
        return 0

    def __iter__(self):
        return iter(())

    async def resolve(self, request):
        return None, set()


@pytest.mark.parametrize(
    ("resource", "canonical", "info"),
    [
        (PlainResource("/é"), "/é", {"path": "/é"}),
        (PlainResource(""), "", {"path": ""}),
        (
            DynamicResource("/{a}/{b:.*}"),
            "/{a}/{b}",
            {"formatter": "/{a}/{b}", "pattern": re.compile("/(?P<a>[^{}/]+)/(?P<b>.*)")},
        ),
        (Prefix("/p"), "/p", {"prefix": "/p"}),
        (Prefix("/"), "", {"prefix": ""}),
    ],
)
def test_resource_tells_what_it_is(resource, canonical, info):
    assert resource.canonical == canonical
    assert resource.get_info() == info


@pytest.mark.parametrize(
    ("resource", "shown"),
    [
        (PlainResource("/a"), "<PlainResource /a>"),
        (DynamicResource("/{a:.*}", name="n"), "<DynamicResource 'n' /{a}>"),
        (Prefix("/p"), "<Prefix /p>"),
        (Prefix(""), "<Prefix />"),
    ],
)
def test_resource_shows_itself(resource, shown):
    assert repr(resource) == shown


@pytest.mark.parametrize("resource", [PlainResource("/a"), DynamicResource("/{a}"), Prefix("/p")])
def test_prefix_goes_before(resource):
    before = resource.canonical
    resource.add_prefix("/x/y")
    assert resource.canonical == "/x/y" + before


async def test_empty_path_is_the_prefix_itself():
    resource = PlainResource("")
    resource.add_route("GET", answer)
    assert (await resource.resolve(Asked("GET", "/")))[0] is not None
    resource.add_prefix("/x")
    assert (await resource.resolve(Asked("GET", "/x")))[0] is not None
    assert (await resource.resolve(Asked("GET", "/x/")))[0] is None


@pytest.mark.parametrize("prefix", ["x", "/x/", "", "/"])
def test_prefix_of_wrong_form_is_refused(prefix):
    with pytest.raises(ValueError, match="starts with a slash, ends with none, and is not empty"):
        PlainResource("/a").add_prefix(prefix)


@pytest.mark.parametrize("prefix", ["/{x}", "/a}"])
def test_prefix_with_a_variable_is_refused(prefix):
    with pytest.raises(ValueError, match="can't have variables"):
        Prefix(prefix)


@pytest.mark.parametrize(
    ("prefix", "path", "covered"),
    [
        ("/p", "/p", True),
        ("/p", "/p/", True),
        ("/p", "/p/a/b", True),
        ("/p", "/pa", False),
        ("/p", "/", False),
        ("/p/q", "/p", False),
        ("/p", "/p%2Fa", False),
        ("/é", "/%C3%A9/a", True),
        ("", "/", True),
        ("", "/a/b", True),
        ("", "*", False),
    ],
)
def test_prefix_covers_itself_and_what_is_below(prefix, path, covered):
    assert Prefix(prefix).covers(path) is covered


def test_resource_is_made_again_of_its_very_text_only():
    assert PlainResource("/a").raw_match("/a")
    assert not PlainResource("/a").raw_match("/%61")
    assert DynamicResource("/{a:.*}").raw_match("/{a:.*}")
    assert not DynamicResource("/{a:.*}").raw_match("/{a}")
    assert not Prefix("/p").raw_match("/p")


async def test_resource_resolves_alone():
    resource = DynamicResource("/{a}")
    get = resource.add_route("GET", answer)
    post = resource.add_route("POST", answer)
    info, methods = await resource.resolve(Asked("GET", "/x%20y"))
    assert (info, info.route, methods) == ({"a": "x y"}, get, {"GET", "POST"})
    assert await resource.resolve(Asked("PUT", "/x")) == (None, {"GET", "POST"})
    assert await resource.resolve(Asked("GET", "/x/y")) == (None, set())
    assert list(resource) == [get, post]
    assert len(resource) == 2


@pytest.mark.parametrize(("first", "second"), [("GET", "GET"), ("*", "GET"), ("*", "*")])
def test_route_that_would_never_be_called_is_refused(first, second):
    resource = PlainResource("/a")
    resource.add_route(first, answer)
    with pytest.raises(RuntimeError, match=rf"answer would never be called: .*answer answers {re.escape(second)} /a"):
        resource.add_route(second, answer)


def test_route_made_elsewhere_is_registered():
    resource = PlainResource("/a")
    route = ResourceRoute("GET", answer, resource)
    resource.register_route(route)
    assert resource.methods == {"GET": route}


def test_plain_resource_takes_no_variables():
    with pytest.raises(ValueError, match="it makes a DynamicResource"):
        PlainResource("/{a}")
    with pytest.raises(TypeError, match="<PlainResource /a> has no variables: x"):
        PlainResource("/a").url_for(x="1")


def test_dynamic_resource_makes_urls_and_leaves_other_values_alone():
    assert str(DynamicResource("/{a}").url_for(a="x/é", b="1")) == "/x%2F%C3%A9"
