"""Which proxy the environment names for a URL."""

from __future__ import annotations

import subprocess

import pytest
from yarl import URL

from corelet_client.proxy_environment import find_proxy

VARIABLES = [f"{name}_proxy" for name in ("http", "https", "ws", "wss", "all", "no")]


@pytest.fixture(autouse=True)
def set_environment(monkeypatch, tmp_path):
    """Give what sets variables in an environment without proxies."""
    for name in [*VARIABLES, *(name.upper() for name in VARIABLES), "REQUEST_METHOD"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine with-netrc login me password p")

    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


def proxy_of(url: str) -> str | None:
    found = find_proxy(URL(url))
    return None if found is None else str(found[0])


def test_without_variables_there_is_no_proxy():
    assert find_proxy(URL("http://x.org/")) is None


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({"http_proxy": "http://p:1"}, "http://x.org/", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "https://x.org/", None),
        ({"https_proxy": "http://p:1"}, "https://x.org/", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "https://x.org/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "http://x.org/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://x.org/", None),
        ({"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://x.org/", "http://p:1"),
        ({"http_proxy": "http://p:1", "HTTP_PROXY": "http://q:1"}, "http://x.org/", "http://p:1"),
        ({"http_proxy": "", "HTTP_PROXY": "http://q:1", "all_proxy": "http://r:1"}, "http://x.org/", None),
        ({"all_proxy": "socks5h://p:1"}, "http://x.org/", "socks5h://p:1"),
        ({"ALL_PROXY": "http://p:1", "https_proxy": "http://q:1"}, "https://x.org/", "http://q:1"),
        ({"http_proxy": "http://p:1"}, "ws://x.org/", "http://p:1"),
        ({"https_proxy": "http://p:1"}, "wss://x.org/", "http://p:1"),
        ({"http_proxy": "http://p:1", "ws_proxy": "http://q:1"}, "ws://x.org/", "http://q:1"),
        ({"http_proxy": "p:3128"}, "http://x.org/", "http://p:3128"),
        ({"http_proxy": " https://p:1/ "}, "http://x.org/", "https://p:1/"),
        ({"all_proxy": "http://p:1"}, "ftp://x.org/", None),
    ],
)
def test_variable_of_the_scheme_names_the_proxy(set_environment, environment, url, proxy):
    set_environment(**environment)
    assert proxy_of(url) == proxy


def test_environment_is_read_as_it_is_now(set_environment):
    set_environment(http_proxy="http://p:1")
    assert proxy_of("http://x.org/") == "http://p:1"
    set_environment(http_proxy="http://q:1")
    assert proxy_of("http://x.org/") == "http://q:1"
    set_environment(no_proxy="x.org")
    assert proxy_of("http://x.org/") is None


def test_password_comes_from_the_url_or_from_netrc(set_environment):
    set_environment(http_proxy="http://me:s%20cret@p:1")
    assert find_proxy(URL("http://x.org/")) == (URL("http://p:1"), ("me", "s cret", "latin1"))
    set_environment(http_proxy="http://with-netrc:1")
    assert find_proxy(URL("http://x.org/")) == (URL("http://with-netrc:1"), ("me", "p", "utf-8"))
    set_environment(http_proxy="http://other:1")
    assert find_proxy(URL("http://x.org/")) == (URL("http://other:1"), None)


@pytest.mark.parametrize("value", ["ftp://me:secret@p:1", "http://", "http://p:x", "http://me:secret@p:99999", "//p"])
def test_value_that_is_no_proxy_is_an_error_that_names_the_variable(set_environment, value):
    set_environment(http_proxy=value)
    with pytest.raises(ValueError, match="http_proxy") as caught:
        find_proxy(URL("http://x.org/"))
    assert "secret" not in str(caught.value)


# no_proxy

#: value, URL, whether it goes without a proxy, whether curl has the same rule
EXCEPTIONS = [
    ("x.org", "http://x.org/", True, True),
    ("x.org", "http://w.x.org/", True, True),
    ("x.org", "http://wx.org/", False, True),
    ("x.org", "http://x.org.evil/", False, True),
    ("X.ORG", "http://x.Org:8080/", True, True),
    (".x.org", "http://x.org/", True, True),
    (".x.org", "http://w.x.org/", True, True),
    ("*.x.org", "http://w.x.org/", True, False),
    ("x.org.", "http://x.org/", True, True),
    ("x.org", "http://x.org./", True, True),
    ("y.org, x.org", "http://x.org/", True, True),
    ("y.org x.org", "http://x.org/", True, True),
    ("y.org,x.org", "http://z.org/", False, True),
    ("*", "http://x.org/", True, True),
    ("*", "http://10.0.0.1/", True, True),
    ("localhost", "http://127.0.0.1/", False, True),
    ("10.0.0.1", "http://10.0.0.1/", True, True),
    ("0.0.1", "http://10.0.0.1/", False, True),
    ("10.0.0.0/8", "http://10.1.2.3/", True, True),
    ("10.0.0.0/8", "http://11.1.2.3/", False, True),
    ("10.1.2.3/8", "http://10.9.9.9/", True, True),
    ("10.0.0.0/99", "http://10.0.0.1/", False, True),
    ("::1", "http://[::1]/", True, True),
    ("[::1]", "http://[::1]/", True, False),
    ("0:0::1", "http://[::1]/", True, False),
    ("fe80::/10", "http://[fe80::5]/", True, False),
    ("x.org:8080", "http://x.org:8080/", True, False),
    ("x.org:8080", "http://x.org/", False, True),
    ("x.org:80", "http://x.org/", True, False),
    ("10.0.0.1:81", "http://10.0.0.1:81/", True, False),
    ("[::1]:81", "http://[::1]:81/", True, False),
    ("[::1]:81", "http://[::1]/", False, True),
    ("", "http://x.org/", False, True),
    (",,", "http://x.org/", False, True),
]


@pytest.mark.parametrize(("value", "url", "is_direct", "is_curls"), EXCEPTIONS)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_exception_goes_without_a_proxy(set_environment, name, value, url, is_direct, is_curls):
    set_environment(http_proxy="http://p:1", **{name: value})
    assert (proxy_of(url) is None) == is_direct


def test_lower_case_exceptions_go_first(set_environment):
    set_environment(http_proxy="http://p:1", no_proxy="", NO_PROXY="*")
    assert proxy_of("http://x.org/") == "http://p:1"


@pytest.mark.parametrize(("value", "url", "is_direct"), [each[:3] for each in EXCEPTIONS if each[3]])
def test_exceptions_are_curls(set_environment, value, url, is_direct):
    """curl tells that it can't reach the proxy, which refuses, or what it would ask directly."""
    environment = {"http_proxy": "http://127.0.0.1:9", "no_proxy": value, "PATH": "/usr/bin:/bin"}
    # What goes directly goes to a port that refuses as well.
    command = ["curl", "-sv", "--max-time", "2", "--connect-to", "::127.0.0.1:1", url]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stderr
    assert ("127.0.0.1:9..." not in shown and "127.0.0.1 port 9" not in shown) == is_direct, shown
