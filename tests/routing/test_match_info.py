from __future__ import annotations

import pytest

from corelet.abc import AbstractMatchInfo
from corelet_routing import PlainResource, UrlMappingMatchInfo
from tests.routing.stand_in import answer


async def answer_expectation(request):
    """Stand for an expect handler."""


@pytest.fixture
def info() -> UrlMappingMatchInfo:
    route = PlainResource("/a").add_route("GET", answer, expect_handler=answer_expectation)
    return UrlMappingMatchInfo({"x": "1"}, route)


def test_match_info_is_a_dict_of_values_and_knows_its_route(info):
    assert isinstance(info, AbstractMatchInfo)
    assert (info["x"], info.handler, info.expect_handler) == ("1", answer, answer_expectation)
    assert (info.http_exception, info.get_info()) == (None, {"path": "/a"})
    assert repr(info).startswith("<MatchInfo {'x': '1'}: <ResourceRoute [GET] <PlainResource /a>")


def test_match_info_takes_no_other_attributes(info):
    with pytest.raises(AttributeError):
        info.other = 1


def test_outer_application_stands_before_inner_ones(info):
    inner, outer = object(), object()
    info.add_app(inner)
    info.add_app(outer)
    assert info.apps == (outer, inner)
    assert info.current_app is inner


def test_current_application_is_the_one_set(info):
    inner, outer = object(), object()
    info.add_app(inner)
    info.add_app(outer)
    info.current_app = outer
    assert info.current_app is outer


def test_match_info_without_an_application_says_so(info):
    with pytest.raises(RuntimeError, match="belongs to no application yet"):
        info.current_app  # noqa: B018  # reading it raises
