from __future__ import annotations

import time
import warnings

import pytest

import corelet
from corelet import content_disposition_filename, parse_content_disposition
from corelet_multipart.disposition import find_form_parameter, read_disposition

READ = [
    (None, None, {}),
    ("", None, {}),
    ("inline", "inline", {}),
    ("ATTACHMENT", "attachment", {}),
    ('attachment; filename="foo.html"', "attachment", {"filename": "foo.html"}),
    ("attachment; filename=foo.html", "attachment", {"filename": "foo.html"}),
    ("attachment; filename = foo.html ;", "attachment", {"filename": "foo.html"}),
    ('attachment; FILENAME="foo.html"', "attachment", {"filename": "foo.html"}),
    (r'attachment; filename="f\oo.html"', "attachment", {"filename": r"f\oo.html"}),
    (r'attachment; filename="\"quoting\" a\\b"', "attachment", {"filename": r'"quoting" a\b'}),
    ('attachment; filename="a;b=c, d"', "attachment", {"filename": "a;b=c, d"}),
    ('attachment; filename=""', "attachment", {"filename": ""}),
    ("attachment; filename=a b.html", "attachment", {"filename": "a b.html"}),
    ("attachment; filename*=UTF-8''foo-%c3%a4.html", "attachment", {"filename*": "foo-ä.html"}),
    ("attachment; filename*=iso-8859-1'en'foo-%E4.html", "attachment", {"filename*": "foo-ä.html"}),
    ('attachment; filename*0="foo."; filename*1="html"', "attachment", {"filename*0": "foo.", "filename*1": "html"}),
    ('form-data; name="a"; filename="b"', "form-data", {"name": "a", "filename": "b"}),
    ('form-data; name="é\udcff"', "form-data", {"name": "é\udcff"}),
    ("attachment;;;", "attachment", {}),
]


@pytest.mark.parametrize(("header", "kind", "params"), READ)
def test_field_is_read(header: str | None, kind: str | None, params: dict[str, str]) -> None:
    assert parse_content_disposition(header) == (kind, params)


@pytest.mark.parametrize(
    "header",
    [
        '"attachment"',
        "=",
        'attachment; filename="a',
        'attachment; filename="a\\"',
        'attachment; filename="a"b',
        'attachment; filename="a" b="c"',
        'attachment; filename="a"; filename="b"',
        "attachment; name=a; NAME=b",
        'attachment; "a"',
        "a b; c=d",
    ],
)
def test_malformed_field_is_none_and_warns(header: str) -> None:
    with pytest.warns(corelet.BadContentDispositionHeader, match="^a Content-Disposition field is malformed$"):
        assert parse_content_disposition(header) == (None, {})


@pytest.mark.parametrize(
    "param",
    [
        "b",
        "b=",
        "a b=c",
        "filename*=foo",
        "filename*=utf-8'foo",
        "filename*=nope''foo",
        "filename*=utf-8''%ff",
        "filename*=base64''foo",
    ],
)
def test_malformed_parameter_is_left_out_and_warns(param: str) -> None:
    with pytest.warns(corelet.BadContentDispositionParam, match="^a parameter of a Content-Disposition"):
        assert parse_content_disposition(f"attachment; c=d; {param}") == ("attachment", {"c": "d"})


def test_reading_of_parts_warns_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_disposition("a b").type is None


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({}, None),
        ({"filename": "a"}, "a"),
        ({"filename": "a", "filename*": "ä"}, "ä"),
        ({"filename*0": "foo", "filename*1": ".", "filename*2": "html", "filename*4": "x"}, "foo.html"),
        ({"filename*1": "foo"}, None),
        ({"filename*0*": "UTF-8''foo-%c3%a4", "filename*1": ".html"}, "foo-ä.html"),
        ({"filename*0*": "utf-8''%c3", "filename*1*": "%a4"}, "ä"),
        ({"filename*0*": "foo"}, None),
        ({"filename*0*": "nope''foo"}, None),
    ],
)
def test_name_of_a_file_is_found_in_its_forms(params: dict[str, str], name: str | None) -> None:
    assert content_disposition_filename(params) == name


def test_another_parameter_can_be_found() -> None:
    assert content_disposition_filename({"name*": "ä"}, "name") == "ä"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ('form-data; name="a%22b%0D%0Ac%20"', 'a"b\r\nc%20'),
        ('attachment; name="a%22b"', "a%22b"),
        ("form-data; name*=utf-8''a%2522b", "a%22b"),
        (r'form-data; name="a\"b\\c\d"', r'a"b\c\d'),
        ("form-data", None),
    ],
)
def test_escapes_of_forms_are_undone(header: str, value: str | None) -> None:
    assert find_form_parameter(read_disposition(header), "name") == value


@pytest.mark.parametrize("piece", [" ", ";", "\\", '"', "=", "*", "'", ";a=", '="', '\\"', ";a*="])
def test_case_a_106_reading_is_linear(piece: str) -> None:
    def measure(count: int) -> float:
        header = "form-data; a" + piece * count
        started = time.process_time()
        read_disposition(header)
        return time.process_time() - started

    measure(1000)
    small, large = (min(measure(count) for _ in range(3)) for count in (8_000, 64_000))
    assert large < max(small, 0.001) * 24
