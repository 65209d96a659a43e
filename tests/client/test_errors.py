"""The client's errors: their family, and what they say."""

from __future__ import annotations

import re
import ssl

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

import corelet
import corelet_client
from corelet import ClientResponseError, Fingerprint, RequestInfo
from corelet_client.connection_key import ConnectionKey
from corelet_client.tls import check_ssl
from tests.client.parity import LIST

#: Name, bases, and members of each error that the parity list has for the client.
ERRORS = [
    (match[1], match[2].split(", "), re.findall(r" \.(\w+)", match[3]))
    for match in re.finditer(r"^(\w+)\(([\w, ]+)\)(.*)$", LIST.read_text(encoding="utf-8"), re.MULTILINE)
    if issubclass(getattr(corelet_client, match[1], int), Exception)
]
KEY = ConnectionKey("x.org", 443, True, True)


def make_info(url: str = "http://x.org/") -> RequestInfo:
    return RequestInfo(URL(url), "GET", CIMultiDictProxy(CIMultiDict()), URL(url))


def test_list_has_them_all():
    assert len(ERRORS) >= 25


@pytest.mark.parametrize(("name", "bases", "members"), ERRORS, ids=[name for name, _, _ in ERRORS])
def test_error_has_its_family_and_members(name, bases, members):
    error = getattr(corelet, name)
    assert set(bases) <= {each.__name__ for each in error.__mro__}
    instance_members = {"ServerFingerprintMismatch": {"expected", "got", "host", "port"}}.get(name, set())
    assert all(hasattr(error, member) for member in set(members) - instance_members - {"history", "request_info"})


def test_error_of_a_response_says_status_reason_and_url():
    error = ClientResponseError(make_info(), (), status=404, message="Not Found", headers=CIMultiDict(a="b"))
    assert str(error) == "404, message='Not Found', url='http://x.org/'"
    assert repr(error).startswith("ClientResponseError(RequestInfo(")
    assert "status=404, message='Not Found', headers=" in repr(error)
    assert (error.code, error.history, error.request_info) == (404, (), make_info())
    assert repr(ClientResponseError(make_info(), ())).endswith(", ())")


@pytest.mark.parametrize("name", ["Authorization", "proxy-authorization", "COOKIE"])
def test_error_of_a_response_hides_what_the_request_said_in_confidence(name):
    url = URL("http://x.org/")
    info = RequestInfo(url, "GET", CIMultiDictProxy(CIMultiDict([(name, "secret"), ("A", "b"), (name, "secret")])), url)
    shown = repr(ClientResponseError(info, ()))
    assert "secret" not in shown
    assert f"'{name}': '***'".lower() in shown.lower()
    assert all(text in shown for text in ("'A': 'b'", "method='GET'", "http://x.org/"))


def test_error_of_a_connector_hides_what_the_proxy_is_told():
    key = KEY._replace(proxy=URL("http://proxy.org"), proxy_fields=(("Proxy-Authorization", "secret"),))
    shown = repr(corelet.ClientConnectorError(key, ConnectionRefusedError(111, "refused")))
    assert "secret" not in shown
    assert all(text in shown for text in ("host='x.org'", "http://proxy.org", "Proxy-Authorization"))


def test_status_has_one_name_at_a_time():
    assert ClientResponseError(make_info(), (), code=500).status == 500
    with pytest.raises(ValueError, match="code and status are one thing"):
        ClientResponseError(make_info(), (), code=500, status=500)


def test_error_of_a_connector_says_where_to_and_why():
    cause = ConnectionRefusedError(111, "refused")
    error = corelet.ClientConnectorError(KEY, cause)
    assert (error.host, error.port, error.ssl, error.os_error) == ("x.org", 443, True, cause)
    assert (error.errno, "x.org:443" in str(error), "refused" in str(error)) == (111, True, True)


def test_error_of_a_certificate_has_it():
    cause = ssl.SSLCertVerificationError("expired")
    error = corelet.ClientConnectorCertificateError(KEY, cause)
    assert (error.certificate_error, error.host, error.port) == (cause, "x.org", 443)
    assert "expired" in str(error)


def test_error_of_a_fingerprint_shows_both():
    error = corelet.ServerFingerprintMismatch(b"\x01" * 32, b"\x02" * 32, "x.org", 443)
    assert str(error) == f"the certificate of x.org:443 has the fingerprint {'02' * 32}, expected {'01' * 32}"


def test_error_of_an_url_shows_it():
    error = corelet.InvalidURL("x:y", "it has no host")
    assert (error.url, error.description, str(error)) == ("x:y", "it has no host", "x:y - it has no host")
    assert str(corelet.InvalidURL(URL("http://x.org/"))) == "http://x.org/"
    assert repr(error) == "<InvalidURL x:y - it has no host>"


def test_fingerprint_is_a_sha_256():
    one, other = Fingerprint(b"x" * 32), Fingerprint(b"y" * 32)
    assert one == Fingerprint(b"x" * 32) != other
    assert len({one, Fingerprint(b"x" * 32), other}) == 2
    assert (one.fingerprint, repr(one)) == (b"x" * 32, f"<Fingerprint {'78' * 32}>")
    for length, message in ((16, "can be forged"), (20, "can be forged"), (5, "not 5 bytes")):
        with pytest.raises(ValueError, match=message):
            Fingerprint(b"x" * length)


def test_ssl_is_one_of_four_things():
    context = ssl.create_default_context()
    fingerprint = Fingerprint(b"x" * 32)
    assert [check_ssl(value) for value in (None, True, False, context, fingerprint)] == [
        True,
        True,
        False,
        context,
        fingerprint,
    ]
    with pytest.raises(TypeError, match="ssl is an SSLContext, a bool or a Fingerprint"):
        check_ssl("yes")
