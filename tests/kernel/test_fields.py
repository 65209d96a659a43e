"""Field values: parsed and made."""

from __future__ import annotations

import sys
import time
import urllib.parse
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from corelet.fields import (
    DEFAULT_CONTENT_TYPE,
    ETAG_ANY,
    ETag,
    TooManyFieldsError,
    choose_coding,
    format_content_disposition,
    format_etag,
    format_http_date,
    parse_content_type,
    parse_etags,
    parse_forwarded,
    parse_http_date,
    parse_quality_list,
    parse_range,
    parse_urlencoded,
    quote_string,
)

TOKENS = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1)
QUOTABLE = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x7f", min_codepoint=0x20))


def ask_peer(attribute: str, field: str, value: str) -> Any:
    """Give what aiohttp's request says of a field."""
    return getattr(make_mocked_request("GET", "/", headers=CIMultiDict([(field, value)])), attribute)


# Cost


def parse_range_or_refuse(value: str) -> None:
    with pytest.raises(ValueError, match="a range"):
        parse_range(value)


PARSERS: dict[str, Callable[[str], object]] = {
    "content type": lambda text: parse_content_type("a/b;" + text),
    "content type, whole": parse_content_type,
    "date": parse_http_date,
    "etags": parse_etags,
    "etags, one good": lambda text: parse_etags('"a",' + text),
    "forwarded": lambda text: parse_forwarded([text]),
    "forwarded, in a string": lambda text: parse_forwarded(['for="' + text]),
    "qualities": parse_quality_list,
    "qualities, in a parameter": lambda text: parse_quality_list("a;b=" + text),
    "range": parse_range_or_refuse,
    "range, digits": lambda text: parse_range_or_refuse("bytes=" + text),
    "urlencoded": parse_urlencoded,
}
PATTERNS = [
    " ", ";", "\\", '"', ",", "=", "a", "a=", 'a="', ';a="', ',a="', '"\\', '\\"', ';a="\\', ',a="x', "W/", 'W/"',
    '"",', '"a', " ;", "= ", "a b", ";q=", "0-,", "1", "%", "%4", "%41", "&", "&a=", "+", "\t ", "\u0661", ";a=b",
    ",for=a;", '="a,b', "é",
]  # fmt: skip


def measure(parse: Callable[[str], object], text: str) -> float:
    """Give the least of a few times, in seconds; what it costs to count coverage is no part of it."""
    times = []
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        for _ in range(3):
            start = time.process_time()
            parse(text)
            times.append(time.process_time() - start)
    finally:
        sys.settrace(tracer)
    return min(times)


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_cost_grows_with_length_and_no_faster(name: str, pattern: str) -> None:
    """a-106: 16 KiB cost little, and eight times the length at most about eight times as much."""
    parse = PARSERS[name]
    short = pattern * (16_384 // len(pattern))
    cost = measure(parse, short)
    assert cost < 0.05
    assert measure(parse, short * 8) < max(cost * 8 * 4, 0.005)


# Content-Type


@pytest.mark.parametrize(
    ("value", "media_type", "parameters"),
    [
        ("text/html", "text/html", {}),
        (" Text/HTML ", "text/html", {}),
        ("text/html; charset=UTF-8", "text/html", {"charset": "UTF-8"}),
        ("text/html;CharSet=utf-8 ; b=1", "text/html", {"charset": "utf-8", "b": "1"}),
        ('a/b; boundary="a b;c\\"d"', "a/b", {"boundary": 'a b;c"d'}),
        ('a/b; x=""', "a/b", {"x": ""}),
        ("a/b;", "a/b", {}),
        ("a/b;;x=1", "a/b", {"x": "1"}),
        ("application/vnd.api+json", "application/vnd.api+json", {}),
    ],
)
def test_a_media_type_is_split_from_its_parameters(value: str, media_type: str, parameters: dict[str, str]) -> None:
    assert parse_content_type(value) == (media_type, parameters)


@pytest.mark.parametrize(
    "value", ["", "text", "text/", "/html", "a b/c", "a/b c", "a/b, c/d", "text/html/x", ";a=b", "é/b"]
)
def test_a_malformed_media_type_counts_as_bytes(value: str) -> None:
    assert parse_content_type(value) == (DEFAULT_CONTENT_TYPE, {})


@pytest.mark.parametrize("parameter", ["x", "x=", "=1", "x y=1", 'x="open', '"', 'x="a\\', "x = 1", 'x="'])
def test_a_malformed_parameter_is_left_out(parameter: str) -> None:
    assert parse_content_type(f"a/b; y=2; {parameter}") == ("a/b", {"y": "2"})


def test_what_follows_a_quoted_string_is_left_out() -> None:
    assert parse_content_type('a/b; x="1" junk; y=2') == ("a/b", {"x": "1", "y": "2"})


def test_the_first_of_two_parameters_counts() -> None:
    assert parse_content_type("a/b; charset=first; charset=second")[1] == {"charset": "first"}


@given(TOKENS, TOKENS, TOKENS, QUOTABLE)
def test_a_quoted_parameter_reads_back(kind: str, subtype: str, name: str, value: str) -> None:
    assert parse_content_type(f"{kind}/{subtype}; {name}={quote_string(value)}") == (
        f"{kind}/{subtype}".lower(),
        {name.lower(): value},
    )


# Content-Disposition


def test_a_plain_file_name_is_quoted() -> None:
    assert format_content_disposition("attachment", [("filename", "a b.txt")]) == 'attachment; filename="a b.txt"'


def test_quotes_and_backslashes_of_a_file_name_are_escaped() -> None:
    assert format_content_disposition("inline", [("filename", 'a"b\\c')]) == 'inline; filename="a\\"b\\\\c"'


def test_a_file_name_beyond_ascii_is_given_in_ascii_and_encoded() -> None:
    made = format_content_disposition("attachment", [("filename", "naïve 100%.txt")])
    assert made == "attachment; filename=\"na_ve 100%.txt\"; filename*=utf-8''na%C3%AFve%20100%25.txt"


def test_a_form_field_is_escaped_as_browsers_do() -> None:
    made = format_content_disposition("form-data", [("name", 'a"b\r\nc'), ("filename", "é\\.txt")])
    assert made == 'form-data; name="a%22b%0D%0Ac"; filename="é\\\\.txt"'


def test_a_form_field_may_be_left_as_it_is() -> None:
    assert format_content_disposition("form-data", [("name", "é%")], quote_fields=False) == 'form-data; name="é%"'


def test_another_charset_may_encode_a_file_name() -> None:
    made = format_content_disposition("attachment", [("filename", "é")], charset="latin-1")
    assert made.endswith("; filename*=latin-1''%E9")


@pytest.mark.parametrize("quote_fields", [True, False])
@pytest.mark.parametrize("value", ["a\0b", "a\x7f"])
@pytest.mark.parametrize("disposition", ["attachment", "form-data"])
def test_a_control_character_in_a_parameter_is_refused(disposition: str, value: str, quote_fields: bool) -> None:
    with pytest.raises(ValueError, match="control characters"):
        format_content_disposition(disposition, [("filename", value)], quote_fields=quote_fields)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb"])
def test_a_line_break_in_a_file_name_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        format_content_disposition("attachment", [("filename", value)])


@pytest.mark.parametrize("disposition", ["", "a b", "a;b", "a\r\n"])
def test_a_disposition_that_is_no_token_is_refused(disposition: str) -> None:
    with pytest.raises(ValueError, match="a disposition is a token"):
        format_content_disposition(disposition, [])


def test_a_parameter_name_that_is_no_token_is_refused() -> None:
    with pytest.raises(ValueError, match="parameter is a token"):
        format_content_disposition("attachment", [("file name", "x")])


# Dates

DATES = st.integers(0, 253402300799).map(lambda timestamp: datetime.fromtimestamp(timestamp, UTC))


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        " sun, 06 nov 1994 08:49:37 gmt ",
    ],
)
def test_a_date_is_read_in_each_of_its_formats(value: str) -> None:
    assert parse_http_date(value) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@given(DATES)
def test_a_date_reads_back(date: datetime) -> None:
    assert parse_http_date(format_http_date(date.timestamp())) == date


@given(DATES)
def test_a_date_is_made_as_the_standard_library_does(date: datetime) -> None:
    from email.utils import formatdate

    assert format_http_date(date.timestamp()) == formatdate(date.timestamp(), usegmt=True)


@given(DATES)
def test_a_date_of_asctime_reads_back(date: datetime) -> None:
    assert parse_http_date(time.asctime(date.timetuple())) == date


def test_parts_of_a_second_are_cut_off() -> None:
    assert format_http_date(784111777.999) == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_a_leap_second_is_the_second_before() -> None:
    assert parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("ahead", [0, 49, 50, 51, 99])
def test_a_year_of_two_digits_is_at_most_50_years_ahead(ahead: int) -> None:
    this_year = datetime.now(UTC).year
    read = parse_http_date(f"Sunday, 06-Nov-{(this_year + ahead) % 100:02d} 08:49:37 GMT")
    assert read is not None
    assert read.year == this_year + (ahead if ahead <= 50 else ahead - 100)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "0",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n x",
    ],
)
def test_what_is_no_date_is_none(value: str) -> None:
    assert parse_http_date(value) is None


# Entity tags

OPAQUE_TAGS = st.text(st.characters(blacklist_characters='"\x7f', min_codepoint=0x21)).filter(lambda tag: tag != "*")
ETAGS = st.builds(ETag, OPAQUE_TAGS, st.booleans())


@given(st.lists(ETAGS), st.sampled_from([",", ", ", " ,\t", ", ,"]))
def test_entity_tags_read_back(tags: list[ETag], comma: str) -> None:
    assert parse_etags(comma.join(map(format_etag, tags))) == tuple(tags)


@pytest.mark.parametrize(
    "value", ['"a"', 'W/"a"', '"a", W/"b"', "*", '"*"', '"a","b"', '"a" x "b"', 'x,"a"', '"a""b"', '"a b"']
)
def test_entity_tags_are_read_as_the_peer_does(value: str) -> None:
    expected = tuple((tag.value, tag.is_weak) for tag in ask_peer("if_match", "If-Match", value))
    assert tuple((tag.value, tag.is_weak) for tag in parse_etags(value)) == expected


def test_a_star_stands_for_any() -> None:
    assert parse_etags(" * ") == (ETag(ETAG_ANY, is_weak=False),)


@pytest.mark.parametrize("rest", ["b", '"b', 'w/"b"', '"b"c', '"b" "c"', '"b\x7f"'])
def test_nothing_is_read_after_a_malformed_tag(rest: str) -> None:
    assert parse_etags(f'"a", {rest}, "d"') == (ETag("a"),)


@pytest.mark.parametrize("value", ['a"b', "a b", "a\r\nb", "\x7f"])
def test_an_entity_tag_that_would_break_its_field_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="entity tag"):
        format_etag(ETag(value))


# Range


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-499", slice(0, 500, 1)),
        ("bytes=500-", slice(500, None, 1)),
        ("bytes=-500", slice(-500, None, 1)),
        ("BYTES=0-1", slice(0, 2, 1)),
        ("bytes=5-5", slice(5, 6, 1)),
        ("bytes=007-008", slice(7, 9, 1)),
    ],
)
def test_a_range_is_read_as_the_peer_does(value: str, expected: slice) -> None:
    assert parse_range(value) == expected == ask_peer("http_range", "Range", value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=-0",
        "bytes=5-3",
        "items=0-1",
        "bytes=0-1,3-4",
        "bytes=0-" + ",0-" * 1300,
        "bytes=\u0661-",
        "bytes=+1-",
        "bytes=1_0-",
        "bytes=0 - 1",
        "bytes=--1",
    ],
)
def test_a_range_that_cannot_be_read_is_refused(value: str) -> None:
    """a-038, a-040, a-041."""
    with pytest.raises(ValueError, match="a range") as caught:
        parse_range(value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("digits", [19, 2000, 5000])
def test_a_huge_range_lies_outside_of_any_content(digits: int) -> None:
    """a-039."""
    number = "1" * digits
    assert b"abc"[parse_range(f"bytes={number}-")] == b""
    assert b"abc"[parse_range(f"bytes=1-{number}")] == b"bc"
    assert b"abc"[parse_range(f"bytes=-{number}")] == b"abc"


@given(st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1))
def test_any_range_in_order_reads_back(first: int, length: int) -> None:
    assert parse_range(f"bytes={first}-{first + length}").start == first


# Forwarded


@pytest.mark.parametrize(
    "value",
    [
        "for=192.0.2.43",
        'for=192.0.2.60;proto=http;by=203.0.113.43, for="[2001:db8::1]:80"',
        'For="a\\"b";HOST=x',
        "for=a;;by=b",
        "for=a;for=b",
        "for=a, ,by=c",
        ", for=a",
        "for = a",
        "for=",
        'for="";by=c,',
        "for=a, g g;by=x, by=y",
        'for="x, for=d',
        "",
    ],
)
def test_forwarded_is_read_as_the_peer_does(value: str) -> None:
    assert parse_forwarded([value]) == ask_peer("forwarded", "Forwarded", value)


def test_several_fields_are_one_list() -> None:
    assert parse_forwarded(["for=a", "for=b, for=c"]) == ({"for": "a"}, {"for": "b"}, {"for": "c"})


def test_no_field_is_an_empty_list() -> None:
    assert parse_forwarded([]) == ()


def test_a_malformed_element_keeps_its_place() -> None:
    assert parse_forwarded(['for=a;by="open, for=b, for=c']) == ({"for": "a"}, {"for": "b"}, {"for": "c"})


def test_an_element_cannot_be_changed() -> None:
    (element,) = parse_forwarded(["for=a"])
    with pytest.raises(TypeError):
        element["for"] = "b"  # type: ignore[index]  # that it fails is the point


@given(st.lists(st.dictionaries(TOKENS.map(str.lower), QUOTABLE, min_size=1), min_size=1))
def test_forwarded_reads_back(elements: list[dict[str, str]]) -> None:
    value = ", ".join(";".join(f"{name}={quote_string(text)}" for name, text in e.items()) for e in elements)
    assert parse_forwarded([value]) == tuple(elements)


# Qualities


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ("text/html", [("text/html", 1.0)]),
        ("gzip;q=0, BR", [("br", 1.0), ("gzip", 0.0)]),
        ("a;q=0.5, b;q=0.75, c", [("c", 1.0), ("b", 0.75), ("a", 0.5)]),
        ("a, b, c", [("a", 1.0), ("b", 1.0), ("c", 1.0)]),
        ("text/html;level=1;q=0.4 , ,", [("text/html", 0.4)]),
        ('text/html;a="x,y;q=1";q=0.4, b', [("b", 1.0), ("text/html", 0.4)]),
        ("text/html, *; q=.2, */*; q=.2", [("text/html", 1.0), ("*", 0.2), ("*/*", 0.2)]),
        ("a;q=1.5, b;q=0., c", [("a", 1.0), ("c", 1.0), ("b", 0.0)]),
        (";q=1", []),
    ],
)
def test_qualities_are_read_and_sorted(value: str, expected: list[tuple[str, float]]) -> None:
    assert parse_quality_list(value) == expected


@pytest.mark.parametrize("quality", ["2", "-1", "x", ".", "1e0", "nan", "inf", "0_1", "\u0661", "0.5.5"])
def test_an_element_with_a_malformed_quality_is_left_out(quality: str) -> None:
    assert parse_quality_list(f"a;q={quality}, b;q=0.5") == [("b", 0.5)]


OFFERED = ("zstd", "br", "gzip", "identity")
CHOICES: dict[str | None, str | None] = {
    None: "identity",
    "": "identity",
    "gzip": "gzip",
    "GZIP": "gzip",
    "x-gzip": "gzip",
    "gzip, br": "br",
    "gzip;q=1.0, br;q=0.9": "gzip",
    "gzip;q=0": "identity",
    "gzip;q=0.001": "gzip",
    "deflate": "identity",
    "*": "zstd",
    "*;q=0.1, gzip;q=0.2": "gzip",
    "zstd;q=0, *": "br",
    "*;q=0": None,
    "*;q=0, identity;q=0.1": "identity",
    "identity;q=0": None,
    "identity;q=0, gzip;q=0.1": "gzip",
    "gzip;q=0.5, identity;q=0.6": "identity",
    "gzip;q=0.5, identity;q=0.5": "gzip",
    "gzip;q=x": "identity",
    ",,;;=,": "identity",
    "deflate, " * 100 + "gzip": "gzip",
}


@pytest.mark.parametrize("accept", CHOICES)
def test_the_coding_that_a_peer_likes_best_is_chosen(accept: str | None) -> None:
    assert choose_coding(accept, OFFERED) == CHOICES[accept]


def test_of_codings_without_identity_none_may_be_chosen() -> None:
    assert choose_coding("deflate", ("gzip",)) is None
    assert choose_coding(None, ("gzip",)) is None
    assert choose_coding("gzip", ()) is None
    assert choose_coding("gzip", ("identity",)) == "identity"


# Forms


@given(st.lists(st.tuples(st.text(), st.text()).filter(lambda field: field != ("", ""))))
def test_a_form_that_the_standard_library_made_reads_back(fields: list[tuple[str, str]]) -> None:
    encoded = urllib.parse.urlencode(fields, errors="replace")
    replaced = [tuple(text.encode("utf-8", "replace").decode() for text in field) for field in fields]
    assert parse_urlencoded(encoded) == parse_urlencoded(encoded.encode()) == replaced


@given(st.text("ab=&+%4fé1"))
def test_a_form_is_read_as_the_standard_library_does(text: str) -> None:
    assert parse_urlencoded(text) == urllib.parse.parse_qsl(text, keep_blank_values=True)


def test_another_encoding_may_be_asked_for() -> None:
    assert parse_urlencoded(b"a=\xe9%E9", "latin-1") == [("a", "éé")]


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert parse_urlencoded(b"a=\xff%FF") == [("a", "\ufffd\ufffd")]


def test_an_unknown_encoding_is_an_error() -> None:
    with pytest.raises(LookupError):
        parse_urlencoded(b"a", "no-such-encoding")


@pytest.mark.parametrize("text", ["a=1&b=2", "&&a=1&&b=2&&", "a&b"])
def test_as_many_fields_as_allowed_are_read(text: str) -> None:
    assert len(parse_urlencoded(text, max_fields=2)) == 2


def test_one_field_more_is_an_error_that_says_how_many() -> None:
    """a-069."""
    with pytest.raises(TooManyFieldsError, match="100,000 fields, limit 1,000"):
        parse_urlencoded(b"a=1&" * 100_000, max_fields=1000)
