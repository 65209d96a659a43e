"""Policies: what they allow, and what can't be one."""

from __future__ import annotations

from typing import Any

import pytest

from corelet_cors import CorsPolicy


@pytest.mark.parametrize(
    ("origins", "allowed", "refused"),
    [
        ("*", ["https://a.example", "null"], []),
        (
            ["https://a.example"],
            ["https://a.example"],
            ["http://a.example", "https://a.example:8443", "https://A.example"],
        ),
        (["http://localhost:3000"], ["http://localhost:3000"], ["http://localhost", "http://localhost:30000"]),
        (
            ["https://*.a.example"],
            ["https://b.a.example", "https://c.b.a.example"],
            ["https://a.example", "https://.a.example", "https://evil-a.example", "https://b.a.example.evil.example"],
        ),
        (
            ["https://*.a.example:8443"],
            ["https://b.a.example:8443"],
            ["https://b.a.example", "https://x/b.a.example:8443"],
        ),
        (["http://[::1]:80080"], ["http://[::1]:80080"], ["http://[::1]"]),
        (["null"], ["null"], ["https://null"]),
        (lambda origin: origin.endswith(".test"), ["https://a.test"], ["https://a.example"]),
    ],
)
def test_an_origin_is_allowed_or_not(origins: Any, allowed: list[str], refused: list[str]) -> None:
    policy = CorsPolicy(origins)
    assert [each for each in [*allowed, *refused] if policy.allows_origin([each])] == allowed
    assert not policy.allows_origin([])
    assert not policy.allows_origin(["https://a.example", "https://a.example"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"origins": "https://a.example"}, TypeError, "expected a list of them: \\['https://a.example'\\]"),
        ({"origins": ["https://a.example/"]}, ValueError, "is no origin: .* without a path"),
        ({"origins": ["https://A.example"]}, ValueError, "in lower case"),
        ({"origins": ["a.example"]}, ValueError, "is no origin"),
        ({"origins": ["https://a*.example"]}, ValueError, "is no origin"),
        ({"origins": ["https://a.example:443"]}, ValueError, "browsers leave out ':443'"),
        ({"origins": "*", "credentials": True}, ValueError, "any page could act for its visitor"),
        ({"origins": ["null"], "credentials": True}, ValueError, "any page can get that origin"),
        ({"origins": "*", "methods": "PUT"}, TypeError, "methods is the str 'PUT'"),
        ({"origins": "*", "headers": ["X Y"]}, ValueError, "headers has 'X Y', which is no token"),
        # As other libraries have it: here it would be a method, or a field, of that name, and allow nothing.
        ({"origins": "*", "methods": ["*"]}, ValueError, "leave methods out for all that a route has"),
        ({"origins": "*", "headers": ["*"]}, ValueError, r"headers='\*' is for all"),
        ({"origins": "*", "expose_headers": ["*"]}, ValueError, r"expose_headers='\*' is for all"),
        ({"origins": "*", "methods": ["put"]}, ValueError, "methods has 'put', but browsers say 'PUT'"),
        ({"origins": ["https://a.example"], "credentials": True, "expose_headers": "*"}, ValueError, "list the fields"),
        ({"origins": "*", "max_age": -1}, ValueError, "max_age is -1"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CorsPolicy(**arguments)
