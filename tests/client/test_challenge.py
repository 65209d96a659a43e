"""Challenges of WWW-Authenticate, well and badly made."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corelet_client.challenge import parse_challenges, parse_parameters


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Basic", [("basic", {})]),
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        ("Negotiate dG9rZW4=", [("negotiate", {})]),
        ("Negotiate, Basic realm=x", [("negotiate", {}), ("basic", {"realm": "x"})]),
        ("Negotiate a==, DIGEST Realm = x , Nonce=y", [("negotiate", {}), ("digest", {"realm": "x", "nonce": "y"})]),
        (
            'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
            [("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}), ("basic", {"realm": "simple"})],
        ),
        (', Basic realm="a, Digest b=c",,', [("basic", {"realm": "a, Digest b=c"})]),
        ('Digest qop="auth,auth-int", a=1, a=2', [("digest", {"qop": "auth,auth-int", "a": "1"})]),
        ("realm=x", []),
        ("", []),
        ('Digest realm="x" y, nonce=z', [("digest", {"nonce": "z"})]),
        ('Digest realm="x, nonce=z', [("digest", {"nonce": "z"})]),
        ("Digest \x00, nonce=z", [("digest", {"nonce": "z"})]),
    ],
)
def test_challenges_are_read_apart(value, expected):
    assert [(each.scheme, each.parameters) for each in parse_challenges([value])] == expected


def test_fields_are_read_one_by_one():
    found = parse_challenges(["Basic realm=a", 'Digest realm="b"'])
    assert [(each.scheme, each.parameters["realm"]) for each in found] == [("basic", "a"), ("digest", "b")]


def test_parameters_without_a_scheme():
    assert parse_parameters(' nextnonce="a\\"b", qop=auth, bad, nc=1') == {"nextnonce": 'a"b', "qop": "auth", "nc": "1"}


@settings(deadline=None)
@given(st.text(alphabet='Digest a=",\\\t~', max_size=60))
def test_anything_is_read_without_an_error(value):
    parse_challenges([value])
    parse_parameters(value)


@pytest.mark.parametrize("piece", [" ", ",", "\\", '"', "=", 'a="', "a=", "a ", "a,", 'a="\\', 'a="",', "\x00,"])
def test_time_grows_no_faster_than_the_field(piece):  # a-106
    def measure(size: int) -> float:
        value = "Digest realm=" + piece * (size // len(piece))
        best = 1e9
        for _ in range(3):
            start = time.process_time()
            parse_challenges([value])
            parse_parameters(value)
            best = min(best, time.process_time() - start)
        return best

    assert measure(64_000) < 25 * max(measure(8000), 0.001)
