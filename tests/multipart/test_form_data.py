from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from corelet import BodyPartReader, FormData, MultipartWriter, StringPayload, get_payload
from tests.multipart.body import make_reader


async def read(form: FormData, **kwargs: Any) -> list[tuple[str | None, str | None, bytes]]:
    """Read what a form sends: names, file names and contents."""
    payload = form()
    reader = make_reader(await payload.as_bytes(), content_type=payload.content_type, **kwargs)
    parts = []
    async for part in reader:
        assert isinstance(part, BodyPartReader)
        parts.append((part.name, part.filename, await part.read(decode=True)))
    return parts


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, ""),
        ({"a": "b c", "d": "é&="}, "a=b+c&d=%C3%A9%26%3D"),
        ({"a": 1, "b": 2.5}, "a=1&b=2.5"),
        ({"a": ["1", "2"]}, "a=1&a=2"),
        ([("a", "1"), ["a", "2"], {"b": "3"}], "a=1&a=2&b=3"),
        (MultiDict([("a", "1"), ("a", "2")]), "a=1&a=2"),
    ],
)
async def test_plain_fields_are_urlencoded(fields: Any, text: str) -> None:
    form = FormData(fields)
    payload = form()
    assert not form.is_multipart
    assert payload.content_type == "application/x-www-form-urlencoded"
    assert await payload.as_bytes() == text.encode()


async def test_charset_is_named_where_it_is_another() -> None:
    payload = FormData({"a": "é"}, charset="latin-1")()
    assert payload.content_type == "application/x-www-form-urlencoded; charset=latin-1"
    assert await payload.as_bytes() == b"a=%E9"


async def _give() -> AsyncIterator[bytes]:
    yield b"bit"


@pytest.mark.parametrize(
    ("value", "options", "sent"),
    [
        (b"x", {}, b"x"),
        (io.BytesIO(b"x"), {}, b"x"),
        ("é", {"content_type": "text/html"}, "é".encode()),
        ("x", {"filename": "x.txt"}, b"x"),
        (StringPayload("x"), {}, b"x"),
        (_give(), {}, b"bit"),
        ("x", {"content_transfer_encoding": "base64"}, b"x"),
    ],
)
async def test_other_fields_make_it_multipart(value: Any, options: dict[str, str], sent: bytes) -> None:
    form = FormData([("first", "1")])
    form.add_field("second", value, **options)
    assert form.is_multipart
    assert [(name, content) for name, _, content in await read(form)] == [("first", b"1"), ("second", sent)]


async def test_form_may_be_multipart_in_any_case() -> None:
    form = FormData({"a": "b"}, default_to_multipart=True)
    payload = form()
    assert isinstance(payload, MultipartWriter)
    boundary = payload.boundary
    assert (await payload.as_bytes()).decode() == (
        f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--{boundary}--\r\n'
    )


async def test_file_goes_under_its_name_and_type(tmp_path: Path) -> None:
    path = tmp_path / "photo é.png"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        form = FormData(file)
        form.add_field("picture", file)
        form.add_field("picture", file, filename="other.jpg", content_type="image/x")
        payload = form()
        assert isinstance(payload, MultipartWriter)
        fields = [(p.headers["Content-Disposition"], p.headers["Content-Type"]) for p, _, _ in payload]
    assert fields == [
        ('form-data; name="photo é.png"; filename="photo é.png"', "image/png"),
        ('form-data; name="picture"; filename="photo é.png"', "image/png"),
        ('form-data; name="picture"; filename="other.jpg"', "image/x"),
    ]


async def test_file_without_a_name_goes_under_that_of_its_field() -> None:
    form = FormData([io.BytesIO(b"1")])
    form.add_field("a", io.BytesIO(b"2"))
    assert [field.rpartition("; ")[2] for field in _list_dispositions(form)] == [
        'filename="unknown"',
        'filename="a"',
    ]


def _list_dispositions(form: FormData) -> list[str]:
    payload = form()
    assert isinstance(payload, MultipartWriter)
    return [part.headers["Content-Disposition"] for part, _, _ in payload]


def test_names_may_be_left_as_they_are() -> None:
    form = FormData(quote_fields=False, default_to_multipart=True)
    form.add_field("a%22", "b")
    assert _list_dispositions(form) == ['form-data; name="a%22"']


async def test_text_of_another_charset_says_so() -> None:
    form = FormData({"a": "é"}, charset="latin-1", default_to_multipart=True)
    payload = form()
    body = await payload.as_bytes()
    assert b"Content-Type: text/plain; charset=latin-1\r\n" in body
    assert b"\r\n\r\n\xe9\r\n" in body


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((5, "a"), {}, "name of a form's field is a str, not int"),
        (("a", None), {}, "value of field 'a' is a str, a number, bytes, .* not NoneType"),
        (("a", True), {}, "not bool"),
        (("a", ["b"]), {}, "not list"),
        (("a", "b"), {"content_type": 5}, "content_type of a form's field is a str, not int"),
        (("a", "b"), {"filename": b"x"}, "filename of a form's field is a str, not bytes"),
        (("a", "b"), {"content_transfer_encoding": 5}, "content_transfer_encoding of a form's field is a str, not int"),
    ],
)
def test_what_can_not_be_a_field_is_refused_at_once(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        FormData().add_field(*arguments, **options)


@pytest.mark.parametrize("fields", [["a"], [("a", "b", "c")], [5]])
def test_what_are_no_fields_is_refused(fields: Any) -> None:
    with pytest.raises(TypeError, match="a form's field is a pair"):
        FormData(fields)


@pytest.mark.parametrize(
    "options",
    [
        {"content_type": "text/plain\r\nX: y"},
        {"content_transfer_encoding": "x"},
        {"filename": "a\0b"},
    ],
)
def test_case_a_019_advisory_ghsa_2vrm_gr82_f7m5_options_can_not_break_out(options: dict[str, str]) -> None:
    form = FormData()
    with pytest.raises(ValueError, match=r"control characters|can't be written with"):
        form.add_field("a", "b", **options)
    assert len(form) == 0


@pytest.mark.parametrize("name", ["f\r\nX: y", "f\rX", "f\nX", "f\0"])
def test_case_a_020_name_can_not_break_out_where_it_is_not_quoted(name: str) -> None:
    for form in (FormData(quote_fields=False), FormData(quote_fields=False, default_to_multipart=True)):
        with pytest.raises(ValueError, match="can't hold control characters"):
            form.add_field(name, "v")
        assert len(form) == 0


async def test_form_is_a_body_wherever_one_is_expected() -> None:
    payload = get_payload(FormData({"a": "b"}))
    assert await payload.as_bytes() == b"a=b"
    assert bool(FormData())


async def test_one_file_may_be_two_fields(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        parts = await read(FormData([("a", file), ("b", file)]))
    assert parts == [("a", "file", b"content"), ("b", "file", b"content")]


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="%", exclude_categories=["Cc", "Cs"]) | st.sampled_from('"\\\r\n ')
)


@given(st.lists(st.tuples(NAMES, NAMES.filter(bool), st.binary(max_size=30)), max_size=4))
async def test_what_a_form_sends_is_read(fields: list[tuple[str, str, bytes]]) -> None:
    form = FormData(default_to_multipart=True)
    for name, filename, content in fields:
        form.add_field(name, content, filename=filename)
    assert await read(form, step=17) == fields


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))), max_size=4))
async def test_what_is_urlencoded_is_read(fields: list[tuple[str, str]]) -> None:
    body = await FormData(fields)().as_bytes()
    assert parse_qsl(body.decode(), keep_blank_values=True) == fields
