"""The basic scheme, names and passwords in URLs, and the netrc file."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from corelet_client.auth import BasicAuth, check_auth, encode_basic_auth, find_netrc_auth, strip_auth_from_url


def test_example_of_the_rfc():  # RFC 7617 section 2 and 2.1
    assert BasicAuth("Aladdin", "open sesame").encode() == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert BasicAuth("test", "123£", "utf-8").encode() == "Basic dGVzdDoxMjPCow=="
    assert encode_basic_auth("test", "123£") == "Basic dGVzdDoxMjPCow=="
    assert encode_basic_auth("test", "123£", "latin1") == BasicAuth("test", "123£").encode() == "Basic dGVzdDoxMjOj"


def test_auth_is_a_tuple_that_hides_its_password():
    auth = BasicAuth("me", "secret")
    assert auth == ("me", "secret", "latin1")
    assert (auth.login, auth.password, auth.encoding) == ("me", "secret", "latin1")
    assert BasicAuth("me").password == ""
    assert repr(auth) == "BasicAuth(login='me', password='***', encoding='latin1')"
    assert "secret" not in f"{auth}"


@pytest.mark.parametrize("arguments", [(None, "p"), ("l", None), ("a:b", "p")])
def test_bad_login_or_password_is_refused(arguments):
    with pytest.raises(ValueError, match="login"):
        BasicAuth(*arguments)


def test_colon_in_a_login_and_unknown_characters_are_refused():
    with pytest.raises(ValueError, match="can't hold a colon"):
        encode_basic_auth("a:b")
    with pytest.raises(ValueError, match="characters that latin1 hasn't: give encoding='utf-8'"):
        BasicAuth("ł", "x").encode()


text = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


@settings(deadline=None)
@given(login=text.filter(lambda login: ":" not in login), password=text)
def test_what_was_encoded_is_decoded(login, password):
    auth = BasicAuth(login, password, "utf-8")
    assert BasicAuth.decode(auth.encode(), "utf-8") == auth


@pytest.mark.parametrize("value", ["basic bWU6c2VjcmV0", "BASIC  bWU6c2VjcmV0 "])
def test_scheme_is_read_in_any_case(value):
    assert BasicAuth.decode(value) == ("me", "secret", "latin1")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("Digest bWU6c2VjcmV0", "reads the basic scheme, not 'Digest'"),
        ("bWU6c2VjcmV0", "reads the basic scheme"),
        ("Basic", "holds no colon"),
        ("Basic bWU6c2VjcmV", "no base64"),
        ("Basic bWU6\xe9", "no base64"),
        ("Basic bWU6c2Vj!cmV0", "no base64"),
        ("Basic bWVzZWNyZXQ=", "holds no colon"),
        ("Basic", "colon"),
    ],
)
def test_malformed_value_is_refused_without_showing_it(value, message):
    with pytest.raises(ValueError, match=message) as caught:
        BasicAuth.decode(value)
    assert "bWU6" not in str(caught.value)


def test_bytes_that_are_no_text_of_the_encoding_are_refused():
    with pytest.raises(ValueError, match="no base64 of utf-8 text"):
        BasicAuth.decode("Basic dGVzdDoxMjOj", "utf-8")


@pytest.mark.parametrize(
    ("url", "auth"),
    [
        ("http://x.org/", None),
        ("http://me@x.org/", ("me", "")),
        ("http://me:secret@x.org/", ("me", "secret")),
        ("http://:secret@x.org/", ("", "secret")),
        ("http://a%3Ab%40:p%2F@x.org/", None),
        ("http://b%40:p%2F%C3%A9@x.org/", ("b@", "p/é")),
    ],
)
def test_auth_is_taken_out_of_an_url(url, auth):
    if "%3A" in url:
        with pytest.raises(ValueError, match="colon"):
            strip_auth_from_url(URL(url))
        return
    stripped, found = strip_auth_from_url(URL(url))
    assert str(stripped) == "http://x.org/"
    assert found == (auth and (*auth, "latin1"))


def test_rest_of_an_encoded_url_stays_byte_for_byte():
    stripped, _ = strip_auth_from_url(URL("http://me:x@h:8080/a%2fb/%7e?q=%41+b#f%20", encoded=True))
    assert str(stripped) == "http://h:8080/a%2fb/%7e?q=%41+b#f%20"


def test_from_url_takes_urls_only():
    with pytest.raises(TypeError, match=r"takes a yarl\.URL, not str"):
        BasicAuth.from_url("http://me@x.org/")


def test_argument_of_another_type_is_named():
    assert check_auth("auth", None) is None
    assert check_auth("auth", BasicAuth("a")) == BasicAuth("a")
    with pytest.raises(TypeError, match=r"proxy_auth is a BasicAuth, such as BasicAuth\(login, password\), not tuple"):
        check_auth("proxy_auth", ("a", "b"))


# netrc


@pytest.fixture
def write_netrc(tmp_path, monkeypatch):
    """Give what writes the netrc file."""
    path = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(path))

    def write(content: str, *, changed: int | None = None) -> None:
        path.write_text(content, encoding="utf-8")
        if changed is not None:
            os.utime(path, ns=(changed, changed))

    return write


def test_netrc_has_a_name_and_a_password_for_a_host(write_netrc):
    write_netrc("machine x.org login me password sécret\nmachine y.org login you password p\n")
    assert find_netrc_auth("x.org") == ("me", "sécret", "utf-8")
    assert find_netrc_auth("y.org") == ("you", "p", "utf-8")
    assert find_netrc_auth("w.x.org") is None


def test_netrc_default_is_for_every_host(write_netrc):
    write_netrc("default login any password p")
    assert find_netrc_auth("x.org") == ("any", "p", "utf-8")


def test_netrc_is_read_again_when_it_has_changed(write_netrc):
    write_netrc("machine x.org login old password p", changed=1_000_000_000)
    assert find_netrc_auth("x.org").login == "old"
    write_netrc("machine x.org login new password p", changed=2_000_000_000)
    assert find_netrc_auth("x.org").login == "new"


def test_netrc_of_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_netrc_auth("x.org") is None
    (tmp_path / ".netrc").write_text("machine x.org login me password p")
    assert find_netrc_auth("x.org") == ("me", "p", "utf-8")


@pytest.mark.parametrize("content", ["machine x.org logn me", "machine"])
def test_malformed_netrc_is_told_once_and_counts_as_empty(write_netrc, caplog, content):
    write_netrc(content)
    assert find_netrc_auth("x.org") is None
    assert find_netrc_auth("x.org") is None
    assert [record.name for record in caplog.records] == ["corelet.client"]
    assert "no password is taken from the netrc file" in caplog.text


def test_missing_netrc_that_was_named_is_told_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    assert find_netrc_auth("x.org") is None
    assert find_netrc_auth("x.org") is None
    assert len(caplog.records) == 1
    assert "the file that NETRC names" in caplog.text
