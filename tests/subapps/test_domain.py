"""Domains, masks, and the table that finds the first one that has a host."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corelet_subapps.domain import Domain, DomainTable


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("example.com", "example.com", None),
        ("EXAMPLE.com.", "example.com", None),
        ("example.com:8080", "example.com", "8080"),
        ("example.com.:0080", "example.com", "80"),
        ("*.example.com", "*.example.com", None),
        ("*", "*", None),
        ("*:80", "*", "80"),
        ("api-*.example.*", "api-*.example.*", None),
        ("bücher.example", "xn--bcher-kva.example", None),
        ("*.BÜCHER.example", "*.xn--bcher-kva.example", None),
        ("a_b.c", "a_b.c", None),
        ("127.0.0.1:8080", "127.0.0.1", "8080"),
        ("[::1]", "[::1]", None),
        ("[2001:DB8::1]:80", "[2001:db8::1]", "80"),
        ("localhost", "localhost", None),
    ],
)
def test_a_domain_is_read(text: str, name: str, port: str | None) -> None:
    domain = Domain(text)
    assert (domain.name, domain.port) == (name, port)
    assert str(domain) == (name if port is None else f"{name}:{port}")


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "a..b", ".a", "http://a", "a/b", "a b", "a:b", "a:", ":80", "a:123456", "a?b", "a@b", "::1", "[::1",
        "[x]", "a%62", "bü*.example", "ß" * 64 + ".x", "a" * 254, "a\n",
    ],
)  # fmt: skip
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no domain: expected a name like 'example.com', a mask like '\*.exam"):
        Domain(text)


def make_table(*domains: str) -> DomainTable[str]:
    table: DomainTable[str] = DomainTable()
    for domain in domains:
        table.add(Domain(domain), domain)
    return table


HOSTS = {
    "example.com": "example.com",
    "EXAMPLE.COM": "example.com",
    "example.com.": "example.com",
    "example.com:80": "example.com",
    "example.com:9000": "example.com",
    "other.org": None,
    "other.org:8080": "other.org:8080",
    "other.org:8081": None,
    "plain.org": "plain.org:80",
    "plain.org:80": "plain.org:80",
    "plain.org:443": None,
    "a.example.com": "*.example.com",
    "a.b.example.com:81": "*.example.com",
    "aexample.com": None,
    "example.com.evil.org": None,
    "[::1]:8080": "[::1]",
    "[::1]": "[::1]",
    "api-1.net": "api-*.net",
    "api-.net": "api-*.net",
    "api.net": None,
    "a.b.c": None,
    "": None,
    ":80": None,
    "[": None,
    "a:b:c": None,
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_found(host: str) -> None:
    table = make_table("example.com", "other.org:8080", "plain.org:80", "*.example.com", "[::1]", "api-*.net")
    assert table.find(host, "http") == HOSTS[host]


def test_the_scheme_says_the_port_of_a_host_without_one() -> None:
    table = make_table("a.org:80", "a.org:443")
    assert table.find("a.org", "http") == "a.org:80"
    assert table.find("a.org", "https") == "a.org:443"
    assert table.find("a.org", "other") is None


def test_the_one_added_first_has_a_host() -> None:
    table = make_table("www.a.org", "*.b.a.org", "*.a.org", "*")
    found = [table.find(host, "http") for host in ("www.a.org", "x.b.a.org", "b.a.org", "a.org", "[::1]")]
    assert found == ["www.a.org", "*.b.a.org", "*.a.org", "*", "*"]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("a.org", "A.org."),
        ("a.org", "a.org:80"),
        ("a.org:80", "a.org:80"),
        ("*.a.org", "www.a.org"),
        ("*.a.org", "*.a.org"),
        ("*.a.org", "*.b.a.org"),
        ("*.a.org", "api-*.a.org"),
        ("*", "a.org"),
        ("*", "*.a.org"),
        ("*:80", "a.org:80"),
        ("a*", "a*"),
        ("a*", "ab*"),
    ],
)
def test_a_domain_that_would_never_be_found_is_refused(earlier: str, later: str) -> None:
    with pytest.raises(
        ValueError, match=r"would never be asked: .* was mounted before and has the domain; mount the na"
    ):
        make_table(earlier, later)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [("a.org:80", "a.org"), ("a.org:80", "a.org:81"), ("www.a.org", "*.a.org"), ("*.b.a.org", "*.a.org"), ("a*", "*")],
)
def test_a_wider_domain_may_come_later(earlier: str, later: str) -> None:
    table = make_table(earlier, later)
    assert table.find(earlier.replace("*", "x"), "http") == earlier


@given(st.text(max_size=400), st.sampled_from(["http", "https"]))
def test_any_host_has_an_answer(host: str, scheme: str) -> None:
    assert make_table("a.org", "*.a.org:80", "a*b*c").find(host, scheme) in {None, "a.org", "*.a.org:80", "a*b*c"}


@given(st.lists(st.sampled_from(["a", "b", "*", "c.d"]), min_size=1, max_size=4).map(".".join), st.data())
def test_a_mask_finds_what_it_was_filled_to(mask: str, data: st.DataObject) -> None:
    fill = st.text("abc.-", min_size=1, max_size=6).filter(lambda text: not text.endswith("."))
    host = "".join(data.draw(fill) if sign == "*" else sign for sign in mask)
    assert make_table(mask).find(host, "http") == mask


def count_calls(table: DomainTable[str], host: str) -> int:
    calls: list[str] = []
    sys.setprofile(lambda frame, event, argument: calls.append(event))
    try:
        table.find(host, "http")
    finally:
        sys.setprofile(None)
    return len(calls)


def test_a_lookup_does_not_depend_on_the_number_of_domains() -> None:
    one = make_table("t0.org", "*.t0.org")
    many = make_table(*(f"{mask}t{number}.org" for number in range(2000) for mask in ("", "*.")))
    for host in ("t0.org", "www.t0.org", "none.net", "a.b.none.net"):
        assert count_calls(many, host) == count_calls(one, host), host
    assert count_calls(many, "t1999.org") == count_calls(one, "t0.org")


def test_a_host_longer_than_a_name_can_be_is_not_looked_up() -> None:
    host = "a." * 4000 + "org"
    assert count_calls(make_table("*.org"), host) < 20
    assert make_table("*").find(host, "http") is None
