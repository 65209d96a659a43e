"""Names of fields and methods."""

from __future__ import annotations

import aiohttp.hdrs
import pytest
from multidict import CIMultiDict, istr

from corelet import hdrs

FIELD_NAMES = [name for name, value in vars(hdrs).items() if isinstance(value, istr)]
PEER_NAMES = [name for name, value in vars(aiohttp.hdrs).items() if isinstance(value, str) and name.isupper()]


@pytest.mark.parametrize("name", PEER_NAMES)
def test_every_name_that_users_of_the_peer_know_has_the_same_value(name: str) -> None:
    assert getattr(hdrs, name).lower() == getattr(aiohttp.hdrs, name).lower()


@pytest.mark.parametrize("name", FIELD_NAMES)
def test_a_constant_is_named_after_its_field(name: str) -> None:
    assert getattr(hdrs, name).upper().replace("-", "_") == name


def test_a_field_name_finds_a_field_of_any_case() -> None:
    assert CIMultiDict({"content-type": "text/plain"})[hdrs.CONTENT_TYPE] == "text/plain"


def test_all_methods_are_those_of_the_peer() -> None:
    assert hdrs.METH_ALL == aiohttp.hdrs.METH_ALL
    assert hdrs.METH_ANY not in hdrs.METH_ALL


def test_versions_compare_as_numbers() -> None:
    assert hdrs.HttpVersion10 < hdrs.HttpVersion11 == (1, 1)
