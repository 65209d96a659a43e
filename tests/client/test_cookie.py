"""One cookie: what a Set-Cookie field means, and what an application may give."""

from __future__ import annotations

from datetime import UTC, datetime
from http.cookies import Morsel, SimpleCookie

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corelet_client.cookie import (
    MAX_TIME,
    make_cookies,
    make_response_cookies,
    parse_cookie_date,
    parse_set_cookie,
    read_cookies,
)


def parse(line: str):
    cookie = parse_set_cookie(line)
    assert cookie is not None
    return cookie


@pytest.mark.parametrize(
    ("line", "name", "coded_value", "value"),
    [
        ("a=b", "a", "b", "b"),
        (" a = b ; Path=/", "a", "b", "b"),
        ("a=", "a", "", ""),
        ("a=b=c==", "a", "b=c==", "b=c=="),
        ('a="b c"', "a", '"b c"', "b c"),
        (r'a="b\"c\054\\d"', "a", r'"b\"c\054\\d"', r'b"c,\d'),
        (r'a="\012X: y"', "a", r'"\012X: y"', r'"\012X: y"'),
        ('a="b', "a", '"b', '"b'),
        ("path=x", "path", "x", "x"),
        ("ISAWPLB{A7F5-9D}=1", "ISAWPLB{A7F5-9D}", "1", "1"),
        ('a={"x": 1}', "a", '{"x": 1}', '{"x": 1}'),
        ("a=é", "a", "é", "é"),
    ],
)
def test_first_pair_is_the_cookie(line, name, coded_value, value):
    cookie = parse(line)
    assert (cookie.name, cookie.coded_value, cookie.value) == (name, coded_value, value)


@pytest.mark.parametrize("line", ["", ";", "a", "=b", " =b", "a\r\nX=y", "a=b\0", "a=b\x7f", "a=b\tc", "; a=b"])
def test_what_has_no_name_or_has_controls_sets_nothing(line):
    assert parse_set_cookie(line) is None


def test_pairs_after_the_first_are_attributes():
    cookie = parse("a=b; c=d; c=d; c=d; ")  # a-054
    assert (cookie.name, cookie.attributes) == ("a", {})


@pytest.mark.parametrize(
    ("line", "attributes"),
    [
        ("a=b; PATH=/x; SeCuRe", {"path": "/x", "secure": True}),
        ("a=b;Path=/x;HttpOnly=no", {"path": "/x", "httponly": True}),
        ("a=b; Path=/x; Path=/y", {"path": "/y"}),
        ("a=b; Path=/x; Path=y", {"path": "y"}),
        ("a=b; Domain=x.org; Domain=", {"domain": "x.org"}),
        ("a=b; Max-Age=5; Max-Age=5_0", {"max-age": "5"}),
        ("a=b; Max-Age=+5", {}),
        ("a=b; Max-Age=\u0665", {}),
        ("a=b; Max-Age= -1 ", {"max-age": "-1"}),
        ("a=b; Expires=never", {}),
        ("a=b; SameSite=lax; SameSite=x", {"samesite": "lax"}),
        ("a=b; Partitioned", {"partitioned": True}),
        ("a=b; Path=/" + "x" * 1024, {}),
        ("a=b; Version=1; Comment=c; Port=80", {}),
    ],
)
def test_last_attribute_that_means_something_counts(line, attributes):
    assert parse(line).attributes == attributes


def test_size_of_name_and_value_is_limited():
    assert parse_set_cookie("a=" + "b" * 4094) is not None
    assert parse_set_cookie("a=" + "b" * 4095) is None
    assert parse_set_cookie("a=" + "é" * 2048) is None


@pytest.mark.parametrize(
    ("line", "expiry"),
    [
        ("a=b", None),
        ("a=b; Max-Age=10", 1010.0),
        ("a=b; Max-Age=0", 0.0),
        ("a=b; Max-Age=-5", 0.0),
        ("a=b; Max-Age=9999999999999999999999999999999999999999", MAX_TIME),  # a-059
        ("a=b; Max-Age=" + "9" * 1024, MAX_TIME),
        ("a=b; Expires=Thu, 01 Jan 1970 00:00:09 GMT", 9.0),
        ("a=b; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:09 GMT", 1010.0),
    ],
)
def test_max_age_goes_before_expires(line, expiry):
    assert parse(line).find_expiry(1000.0) == expiry


@pytest.mark.parametrize(
    "text",
    [
        "Wed, 09 Jun 2021 10:18:14 GMT",
        "Wednesday, 09-Jun-21 10:18:14 GMT",
        "Wed Jun  9 10:18:14 2021",
        "Wed Jun 09 2021 10:18:14 GMT+0200 (CEST)",
        "2021 june 9 10:18:14",
        "9 JUNE 2021 10:18:14utc",
        "10:18:14 9-jun-2021",
    ],
)
def test_date_is_read_in_any_order_and_format(text):
    assert parse_cookie_date(text) == datetime(2021, 6, 9, 10, 18, 14, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "09 Jun 2021",
        "10:18:14 Jun 2021",
        "09 10:18:14 2021",
        "09 Jun 10:18:14",
        "31 Jun 2021 10:18:14",
        "29 Feb 2021 10:18:14",
        "00 Jun 2021 10:18:14",
        "09 Jun 2021 24:18:14",
        "09 Jun 2021 10:60:14",
        "09 Jun 2021 10:18:60",
        "09 Jun 1600 10:18:14",
        "09 Jun 20210 10:18:14",
        "\u0669 Jun 2021 10:18:14",
    ],
)
def test_what_is_no_date_is_none(text):
    assert parse_cookie_date(text) is None


@pytest.mark.parametrize(("year", "full"), [("70", 1970), ("99", 1999), ("00", 2000), ("69", 2069), ("9999", 9999)])
def test_year_of_two_digits_has_a_century(year, full):
    expected = datetime(full, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
    assert parse_cookie_date(f"02 Jan {year} 03:04:05") == expected


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1601, 1, 1)))  # noqa: DTZ001 -- made aware below
def test_every_http_date_is_read(moment):
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    text = f"{moment:%a, %d %b} {moment.year:04d} {moment:%H:%M:%S} GMT"
    assert parse_cookie_date(text) == moment.timestamp()


@settings(deadline=None)
@given(st.text(max_size=200) | st.text(alphabet='=;," \\\t/a1:0Jun', max_size=200))
def test_any_line_is_read_without_an_error(line):
    cookie = parse_set_cookie(line)
    if cookie is not None:
        assert cookie.name
        assert cookie.make_morsel().coded_value == cookie.coded_value
        cookie.find_expiry(0.0)


def test_response_cookies_keep_attributes_and_any_name():
    cookies = make_response_cookies(["a=1; Path=/x; Secure", "expires=2", "a=3; Domain=b.org; Partitioned", "bad"])
    assert {name: morsel.value for name, morsel in cookies.items()} == {"a": "3", "expires": "2"}
    assert cookies["a"]["domain"] == "b.org"
    assert cookies["a"]["path"] == ""
    assert cookies["a"]["partitioned"] is True


def test_cookies_are_given_as_mapping_pairs_or_morsels():
    morsel: Morsel[str] = Morsel()
    morsel.set("m", "1 2", '"1 2"')
    morsel["path"] = "/p"
    whole = SimpleCookie('s="x y"; t=z')
    given_ways = {"a": "b", "n": morsel, "s": whole}
    assert [(c.name, c.coded_value, c.attributes) for c in read_cookies(given_ways)] == [
        ("a", "b", {}),
        ("m", '"1 2"', {"path": "/p"}),
        ("s", '"x y"', {}),
    ]
    assert [(c.name, c.value) for c in read_cookies([("a", "1"), ("a", "2")])] == [("a", "1"), ("a", "2")]
    assert [(c.name, c.value) for c in read_cookies(whole)] == [("s", "x y"), ("t", "z")]


@pytest.mark.parametrize(("value", "coded"), [("x", "x"), ("x y", '"x y"'), ("x;y", r'"x\073y"'), ("é", r'"\351"')])
def test_value_is_quoted_where_it_needs_to_be(value, coded):
    assert make_cookies({"a": value})["a"].coded_value == coded


def test_without_quoting_a_value_is_sent_as_it_stands():
    assert make_cookies({"a": 'x y"z,é'}, quote=False)["a"].coded_value == 'x y"z,é'


@pytest.mark.parametrize("quote", [True, False])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", "b\r\nX: y"),
        ("a", "b\0"),
        ("a\r\nX", "y"),
        ("a=b", "c"),
        ("a;b", "c"),
        ("", "c"),
        (" a", "c"),
        ("a", "\ud800"),
    ],
)
def test_what_could_start_something_else_is_refused(name, value, quote):
    with pytest.raises(ValueError):  # noqa: PT011 -- also UnicodeEncodeError
        make_cookies({name: value}, quote=quote)


def test_semicolon_is_refused_without_quoting():
    with pytest.raises(ValueError, match="cookie 'a' can't hold a semicolon without quoting"):
        make_cookies({"a": "b; c=d"}, quote=False)


def test_value_of_another_type_is_refused():
    with pytest.raises(TypeError, match="the value of cookie 'a' is a str or a Morsel, not int"):
        make_cookies({"a": 1})


def test_morsel_whose_expiry_is_in_seconds_from_now():
    morsel: Morsel[str] = Morsel()
    morsel.set("a", "b", "b")
    morsel["expires"] = 60
    (cookie,) = read_cookies([("a", morsel)])
    assert cookie.find_expiry(1000.0) == 1060.0
