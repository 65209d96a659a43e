"""Typed keys."""

from __future__ import annotations

import abc
from typing import Any

import pytest

from corelet.keys import AppKey, NotAppKeyWarning, RequestKey, ResponseKey

KINDS: list[type[Any]] = [AppKey, RequestKey, ResponseKey]


@pytest.mark.parametrize("kind", KINDS)
def test_two_keys_of_one_name_are_two_keys(kind: type[Any]) -> None:
    first, second = kind("name", int), kind("name", int)
    assert first != second
    assert {first: 1, second: 2}[first] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_shows_its_kind_its_module_its_name_and_its_type(kind: type[Any]) -> None:
    assert repr(kind("count", int)) == f"<{kind.__name__}({__name__}.count, type=int)>"


def test_a_key_shows_the_type_it_was_subscripted_with() -> None:
    assert repr(AppKey[int]("count")) == f"<AppKey({__name__}.count, type=int)>"


def test_a_key_shows_a_class_with_its_module() -> None:
    assert repr(AppKey("base", abc.ABC)).endswith("type=abc.ABC)>")


def test_a_key_shows_a_generic_type_as_it_is_written() -> None:
    assert repr(AppKey("table", dict[str, int])).endswith("type=dict[str, int])>")


def test_a_key_without_a_type_says_so() -> None:
    assert repr(AppKey("what")).endswith("type=<<Unknown>>)>")


def test_keys_sort_by_name_and_before_strings() -> None:
    first, second = AppKey("a", int), AppKey("b", int)
    keys: list[Any] = ["c", second, "a", first]
    assert sorted(keys) == [first, second, "a", "c"]


def test_the_warning_for_string_keys_can_be_filtered() -> None:
    assert issubclass(NotAppKeyWarning, UserWarning)
