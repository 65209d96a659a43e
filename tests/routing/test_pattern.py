from __future__ import annotations

import re
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corelet_routing.pattern import WILD, Ends, Pattern, Variable, decode_path


def match(pattern: str, raw_path: str) -> dict[str, str] | None:
    return Pattern(pattern).match(decode_path(raw_path))


@pytest.mark.parametrize(
    ("pattern", "path", "values"),
    [
        ("/a", "/a", {}),
        ("", "/", {}),
        ("/{x}", "/a", {"x": "a"}),
        ("/{x}/b", "/a/b", {"x": "a"}),
        ("/{x}", "/a%2Fb", {"x": "a/b"}),
        ("/{x}", "/a%252Fb", {"x": "a%2Fb"}),
        ("/{x}", "/100%25", {"x": "100%"}),
        ("/{x}", "/%C3%A9%20", {"x": "é "}),
        ("/{x}", "/%FF", {"x": "%FF"}),
        ("/{x}", "/a%0Ab", {"x": "a\nb"}),
        ("/{x}", "/;a=b,c", {"x": ";a=b,c"}),
        ("/{number:[0-9]+}", "/12", {"number": "12"}),
        ("/{year:[0-9]{4}}-{month:[0-9]{2}}", "/2025-11", {"year": "2025", "month": "11"}),
        ("/{word:\\w+}", "/%C3%A9t%C3%A9", {"word": "été"}),
        ("/{brace:\\{}", "/%7B", {"brace": "{"}),
        ("/{name}.{kind}", "/a.tar.gz", {"name": "a.tar", "kind": "gz"}),
        ("/v{major}.{minor}/x", "/v1.2/x", {"major": "1", "minor": "2"}),
        ("/files/{tail:.*}", "/files/", {"tail": ""}),
        ("/files/{tail:.+}", "/files/a/b%2Fc", {"tail": "a/b/c"}),
        ("/{x:a|b}/c", "/b/c", {"x": "b"}),
        ("/{x:(?P<first>.)?.*}", "/ab", {"x": "ab", "first": "a"}),
        ("/{x:(?P<first>1)?.*}", "/ab", {"x": "ab", "first": ""}),
    ],
)
def test_path_that_matches_gives_decoded_values(pattern, path, values):
    assert match(pattern, path) == values


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/a", "/a/"),
        ("/a", "/A"),
        ("/{x}", "/"),
        ("/{x}", "/a/b"),
        ("/{x}", "/%7Bx%7D"),
        ("/{x}/b", "/a%2Fb"),
        ("/a.b", "/axb"),
        ("/{number:[0-9]+}", "/12a"),
        ("/files/{tail:.*}", "/files"),
        ("/files/{tail:.+}", "/files/"),
        ("/a/b", "/a%2Fb"),
        ("/{x}", "*"),
        ("", "*"),
    ],
)
def test_other_path_does_not_match(pattern, path):
    assert match(pattern, path) is None


@pytest.mark.parametrize("pattern", ["/é b", "/%C3%A9%20b", "/%c3%a9 b", "/é%20b"])
def test_pattern_is_the_same_however_it_is_encoded(pattern):
    assert match(pattern, "/%C3%A9%20b") == {}


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("/a?b", "/a%3Fb"), ("/a#b", "/a%23b"), ("/100%", "/100%25"), ("/a%2fb", "/a%2Fb"), ("//x", "//x")],
)
def test_sign_that_no_path_can_hold_is_encoded(pattern, path):
    assert match(pattern, path) == {}
    assert str(Pattern(pattern).build({}).raw_path) == path


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        ("a", "must start with '/'"),
        ("*", "must start with '/'"),
        ("/a{", "'{' at 2 must be followed by an identifier"),
        ("/{}", "'{' at 1 must"),
        ("/{1a}", "'{' at 1 must"),
        ("/{a-b}", "'{' at 1 must"),
        ("/{ a}", "'{' at 1 must"),
        ("/x/{a", "'{' at 3 must"),
        ("/{a:b", "'{' at 1 is never closed"),
        ("/{a:b{1}", "'{' at 1 is never closed"),
        ("/a}", "'}' at 2 closes nothing"),
        ("/{a}}", "'}' at 4 closes nothing"),
        ("/{a:}", "the expression of 'a' at 1 is empty"),
        ("/{a:[}", "the expression of 'a' at 1 is wrong: unterminated character set"),
        ("/x/{a:b)(c}", "the expression of 'a' at 3 is wrong: unbalanced parenthesis"),
        ("/{a}/{a}", "variable 'a' stands there twice"),
        ("/{a:(?P<b>x)}/{b}", "its expressions disagree: redefinition of group name 'b'"),
        ("/users/<id>", "a variable is written '{id}', not '<id>'"),
        ("/<int:id>/{a}", "a variable is written '{id}', not '<int:id>'"),
    ],
)
def test_malformed_pattern_is_refused_with_its_place(pattern, place):
    with pytest.raises(ValueError, match=re.escape(f"malformed route pattern {pattern!r}: ")) as refused:
        Pattern(pattern)
    assert place in str(refused.value)


def test_text_in_angle_brackets_is_written_with_escapes():
    assert Pattern("/%3Cid%3E").match("/<id>") == {}


@pytest.mark.parametrize(
    "expression",
    [r"\d+", "[a-z]+", "[^/]+", "[^/.]*", "[a-zA-Z0-9_.-]+", "(?:a|b)?", "(x|y){2,3}", r"[\w.-]+\.html", r"[^\s/]"],
)
def test_expression_without_slash_stays_within_its_segment(expression):
    assert Pattern(f"/{{x:{expression}}}/y").tail is None


@pytest.mark.parametrize(
    "expression",
    [
        ".*",
        ".+",
        "[^a]",
        r"\D",
        r"\S+",
        r"\W",
        "a/b",
        "[+-9]",
        "[!-~]",
        "[./]",
        r"\x2f",
        "(?=.*b)a",
        "(?P<y>a)",
        "(?i:a)",
        r"a\b",
        "^a",
        "a$",
    ],
)
def test_expression_that_may_see_a_slash_takes_the_rest(expression):
    assert Pattern(f"/a/x{{x:{expression}}}/y").tail == Ends("x", "/y")


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@given(st.from_regex(r"[a-z\[\]()\\{}|*+?.,^/0-9-]{1,8}", fullmatch=True), st.text("az09/.-^]\\|,", max_size=6))
def test_expression_that_matches_a_slash_is_never_held_within_a_segment(expression, path):
    try:
        pattern = Pattern(f"/{{x:{expression}}}")
    except ValueError:
        return
    if pattern.tail is None:
        assert "/" not in (match(f"/{{x:{expression}}}", f"/{path}") or {}).get("x", "")


def test_segments_are_described_for_a_lookup():
    assert Pattern("/a/{b}/c{d}e/{f:[0-9]+}/{g:[0-9]*}/").segments == (
        "a",
        WILD,
        Ends("c", "e"),
        WILD,
        Ends("", ""),
        "",
    )


@pytest.mark.parametrize(
    ("pattern", "values", "url"),
    [
        ("/a b/é", {}, "/a%20b/%C3%A9"),
        ("", {}, "/"),
        ("/{x}", {"x": "a b"}, "/a%20b"),
        ("/{x}", {"x": "a/b"}, "/a%2Fb"),
        ("/{x}", {"x": "a%2Fb?c#d"}, "/a%252Fb%3Fc%23d"),
        ("/{x:.+}", {"x": "a/b c"}, "/a/b%20c"),
        ("/{x:[^/]+}", {"x": "a/b"}, "/a%2Fb"),
        ("/{x}.{y}", {"x": "1", "y": "2"}, "/1.2"),
    ],
)
def test_url_is_built_of_quoted_values(pattern, values, url):
    assert str(Pattern(pattern).build(values)) == url


@pytest.mark.parametrize("value", ["/evil.example", "//evil.example", "/"])
def test_url_built_of_values_never_leads_to_another_host(value):
    url = Pattern("/{tail:.*}").build({"tail": value})
    assert not url.raw_path.startswith("//")
    assert match("/{tail:.*}", url.raw_path) == {"tail": value}


def test_missing_value_is_a_key_error():
    with pytest.raises(KeyError, match="x"):
        Pattern("/{x}").build({})


def test_value_that_is_no_text_is_a_type_error():
    with pytest.raises(TypeError, match=r"value of \{x\} must be a str, not int: 5"):
        Pattern("/{x}").build({"x": 5})  # type: ignore[dict-item]  # the error to be found


@given(
    pattern=st.sampled_from(["/{x}", "/a/{x}/b", "/{x:.+}", "/{x:[^/]+}", "/f-{x:.*}", "/{x:(?s:.)+}"]),
    value=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_value_comes_back_from_its_url(pattern, value):
    made = Pattern(pattern)
    found = made.match(decode_path(made.build({"x": value}).raw_path))
    # Braces are no part of {x}, and newlines none of a dot.
    assert found == {"x": value} or re.search(r"[{}\n]", value)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_decoding_a_path_twice_changes_nothing(text):
    once = decode_path(quote(text))
    assert decode_path(once) == once


@pytest.mark.parametrize("repeated", ["{", "\\", "[a-z]", "[^", "{a}"])
def test_refusing_a_long_pattern_takes_linear_time(repeated):
    started = time.process_time()
    with pytest.raises(ValueError, match="malformed"):
        Pattern("/{x:" + repeated * 100_000)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("repeated", ["a?", "[a-z]", "[^/]", "(?:a|b)", "a{1,2}"])
def test_judging_a_long_expression_takes_linear_time(repeated):
    variable = Variable("x", re.compile(repeated * 5_000 + "."))
    started = time.process_time()
    assert not variable.is_within_segment
    assert time.process_time() - started < 0.5
