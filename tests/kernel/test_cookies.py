"""Cookie and Set-Cookie."""

from __future__ import annotations

import logging
import time
from email.utils import parsedate_to_datetime
from http.cookies import SimpleCookie
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from corelet.cookies import format_morsel, make_morsel, parse_cookie_header

NAMES = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1).filter(lambda name: name not in {"path", "domain"})
VALUES = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\x7f", min_codepoint=0x20, max_codepoint=0xFFFF)
)


def make_field(name: str, value: str, **attributes: Any) -> str:
    return format_morsel(make_morsel(name, value, **attributes))


def ask_peer(value: str) -> dict[str, str]:
    return dict(make_mocked_request("GET", "/", headers={"Cookie": value}).cookies)


# Cookie


@pytest.mark.parametrize(
    "value",
    [
        "a=b; c=d",
        "a=b;c=d",
        "a=1; a=2",
        "=x; b=1",
        'a="x y"',
        'a="x\\073y"',
        'a="\\351\\"\\\\"',
        'a="x',
        "$Version=1; a=b",
        "path=/; a=b",
        "a=b=c",
        "a= b ",
        "a[1]=2",
        "secure=5",
        "",
    ],
)
def test_cookies_are_read_as_the_peer_does(value: str) -> None:
    assert parse_cookie_header(value) == ask_peer(value)


@pytest.mark.parametrize("nameless", ["=__Host-x=bad", "=", "x", " = y", ""])
def test_a_cookie_without_a_name_is_left_out(nameless: str) -> None:
    """a-057."""
    assert parse_cookie_header(f"a=1; {nameless}; b=2") == {"a": "1", "b": "2"}


def test_a_quoted_value_ends_at_a_semicolon_too() -> None:
    # Or a cookie that a script may set could swallow another that it may not read.
    assert parse_cookie_header('a="x; session=secret; b=y"') == {"a": '"x', "session": "secret", "b": 'y"'}


def test_a_thousand_invalid_names_are_left_out_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    """a-056."""
    caplog.set_level(logging.DEBUG)
    value = "; ".join(f'b d"{number}=x' for number in range(1000)) + "; a=1"
    start = time.process_time()
    assert parse_cookie_header(value) == {"a": "1"}
    assert time.process_time() - start < 0.5
    assert not caplog.records


@pytest.mark.parametrize("pattern", ["\\", '"', ";", "=", " ", "\\0", "\\07", '\\"', "a=", ';a="', ";a=\\", "\t;"])
def test_cost_grows_with_length_and_no_faster(pattern: str) -> None:
    """a-058."""

    def measure(length: int) -> float:
        value = 'a="' + pattern * (length // len(pattern)) + '"'
        times = []
        for _ in range(3):
            start = time.process_time()
            parse_cookie_header(value)
            times.append(time.process_time() - start)
        return min(times)

    cost = measure(16_384)
    assert cost < 0.05
    assert measure(16_384 * 8) < max(cost * 8 * 4, 0.005)


# Set-Cookie


@given(NAMES, VALUES)
@example("a", 'b c;é"\\,☃/=')
def test_what_is_set_reads_back_by_us_and_by_the_standard_library(name: str, value: str) -> None:
    pair = make_field(name, value, path=None)
    assert parse_cookie_header(pair) == {name: value}
    cookies = SimpleCookie(pair)
    if name[0] != "$":  # an attribute of RFC 2109 to http.cookies
        assert cookies[name].value == value


@given(st.text("azAZ_-", min_size=1).filter(lambda n: n.lower() not in {"path", "domain", "secure"}), VALUES)
def test_what_is_set_reads_back_by_the_peer(name: str, value: str) -> None:
    assert ask_peer(make_field(name, value, path=None)) == {name: value}


async def test_what_is_set_is_kept_and_sent_back_by_the_peers_jar() -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    url = URL("http://127.0.0.1/x")
    jar.update_cookies_from_headers([make_field("a", 'b "c"; d', path="/x", max_age=60, httponly=True)], url)
    sent = jar.filter_cookies(url).output(header="", sep=";").strip()
    assert parse_cookie_header(sent) == {"a": 'b "c"; d'}


def test_a_plain_value_stands_without_quotes() -> None:
    assert make_field("a", "b/c=d:e+f") == "a=b/c=d:e+f; Path=/"


def test_every_attribute_is_sent() -> None:
    made = make_field(
        "a",
        "b",
        expires="Thu, 01 Jan 1970 00:00:00 GMT",
        domain=".example.com",
        max_age=-1,
        path="/p",
        secure=True,
        httponly=True,
        version="1",
        samesite="Lax",
        partitioned=True,
    )
    assert made == (
        "a=b; Domain=.example.com; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=-1; Path=/p; SameSite=Lax; "
        "Version=1; HttpOnly; Partitioned; Secure"
    )


def test_a_flag_that_is_false_is_not_sent() -> None:
    assert make_field("a", "b", path=None, secure=False, httponly=False, partitioned=False) == "a=b"


@pytest.mark.parametrize(
    "attribute",
    [
        {"domain": "x; Path=/"},
        {"domain": "x\r\nX: y"},
        {"domain": "x y"},
        {"domain": "x/y"},
        {"path": "/; Domain=x"},
        {"path": "/\r\nX: y"},
        {"path": "/\0"},
        {"expires": "now; Secure"},
        {"expires": "now\n"},
        {"max_age": "1; Secure"},
        {"max_age": "soon"},
        {"max_age": "\u0661"},
        {"max_age": 1.5},
        {"samesite": "Lax; Secure"},
        {"samesite": "Sometimes"},
        {"version": "1\r"},
    ],
)
def test_an_attribute_that_would_start_another_is_refused(attribute: dict[str, Any]) -> None:
    """a-013."""
    with pytest.raises(ValueError, match="cookie 'a': "):
        make_field("a", "b", **attribute)


@pytest.mark.parametrize("value", ["b\r\nX: y", "b\n", "\0", "\x7f"])
def test_a_control_character_in_a_value_is_refused(value: str) -> None:
    """a-014."""
    with pytest.raises(ValueError, match="control characters"):
        make_field("a", value)


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "a\r\nb", "é", '"a"'])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is a token"):
        make_field(name, "b")


@pytest.mark.parametrize("name", ["path", "Domain", "secure"])
def test_a_name_of_an_attribute_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="named like an attribute"):
        make_field(name, "b")


# Morsels


def test_a_cookie_of_a_simple_cookie_is_formatted() -> None:
    cookies = SimpleCookie()
    cookies["a"] = "b c"
    cookies["a"]["httponly"] = True
    cookies["a"]["comment"] = "x"
    assert format_morsel(cookies["a"]) == 'a="b c"; Comment=x; HttpOnly'


def test_a_made_morsel_fits_into_a_simple_cookie() -> None:
    cookies = SimpleCookie()
    cookies["a"] = make_morsel("a", "b c", partitioned=True, secure=True)  # type: ignore[assignment]  # typeshed has str only
    assert cookies["a"].value == "b c"
    assert format_morsel(cookies["a"]) == 'a="b c"; Path=/; Partitioned; Secure'


def test_an_expiry_in_seconds_counts_from_now() -> None:
    cookies = SimpleCookie()
    cookies["a"] = "b"
    cookies["a"]["expires"] = 60  # type: ignore[assignment]  # http.cookies takes numbers here
    made = format_morsel(cookies["a"])
    expiry = parsedate_to_datetime(made.removeprefix("a=b; expires=")).timestamp()
    assert expiry == pytest.approx(time.time() + 60, abs=2)


def test_an_attribute_set_past_the_checks_is_refused() -> None:
    morsel = make_morsel("a", "b")
    dict.__setitem__(morsel, "domain", "x; Path=/")
    with pytest.raises(ValueError, match="cookie 'a': domain"):
        format_morsel(morsel)


def test_a_coded_value_set_past_the_checks_is_refused() -> None:
    morsel = make_morsel("a", "b")
    morsel.set("a", "b", "b; Domain=x")
    with pytest.raises(ValueError, match="cookie 'a': value"):
        format_morsel(morsel)
