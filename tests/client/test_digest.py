"""The digest scheme: the RFC's examples, and how a middleware behaves to a server that challenges."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from multidict import CIMultiDict
from yarl import URL

from corelet import get_payload
from corelet_client.challenge import parse_parameters
from corelet_client.digest import DigestAuthMiddleware

RFC_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
RFC_OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"


class FakeRequest:
    """What the middleware asks of a ClientRequest."""

    def __init__(self, method: str = "GET", url: str = "http://x.org/", body=b"", **attributes) -> None:
        self.method, self.url, self.body = method, URL(url), body
        self.asked_url = self.url
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.compress = None
        self.__dict__.update(attributes)

    @property
    def is_repeatable(self) -> bool:
        return not getattr(self.body, "consumed", False)


class FakeServer:
    """Answers with given statuses and fields, one after the other; then with 200."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked: list[str | None] = []
        self.released = 0

    async def __call__(self, request):
        self.asked.append(request.headers.get("Authorization"))
        status, fields = self.answers.pop(0) if self.answers else (200, [])
        return SimpleNamespace(status=status, headers=CIMultiDict(fields), release=self.release)

    async def release(self) -> None:
        self.released += 1

    @property
    def parameters(self) -> list[dict[str, str]]:
        """Give the parameters of each answer to a challenge."""
        return [parse_parameters(value.removeprefix("Digest ")) for value in self.asked if value]


def challenge(**parameters: str) -> tuple[int, list[tuple[str, str]]]:
    merged = {"realm": "r", "nonce": "n", "qop": "auth", **{k.replace("_", "-"): v for k, v in parameters.items()}}
    text = ", ".join(f'{name}="{value}"' for name, value in merged.items() if value is not None)
    return 401, [("WWW-Authenticate", f"Digest {text}")]


@pytest.fixture
def fixed_cnonce(monkeypatch):
    def fix(cnonce: str) -> None:
        monkeypatch.setattr("corelet_client.digest.secrets.token_hex", lambda size: cnonce)

    return fix


# Examples.


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
async def test_example_of_the_rfc(fixed_cnonce, algorithm, response):  # RFC 7616 section 3.9.1
    fixed_cnonce("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    server = FakeServer(
        challenge(
            realm="http-auth@example.org", qop="auth, auth-int", algorithm=algorithm, nonce=RFC_NONCE, opaque=RFC_OPAQUE
        )
    )
    request = FakeRequest(url="http://www.example.org/dir/index.html")
    answer = await DigestAuthMiddleware("Mufasa", "Circle of Life")(request, server)
    assert (answer.status, server.asked[0], server.released) == (200, None, 1)
    assert server.parameters == [
        {
            "username": "Mufasa",
            "realm": "http-auth@example.org",
            "uri": "/dir/index.html",
            "algorithm": algorithm,
            "nonce": RFC_NONCE,
            "nc": "00000001",
            "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "qop": "auth",
            "response": response,
            "opaque": RFC_OPAQUE,
        }
    ]
    assert re.search(r"algorithm=[^\"].*qop=auth, nc=00000001", server.asked[1])


async def test_example_of_the_older_rfc(fixed_cnonce):  # RFC 2617 section 3.5, without qop as RFC 2069 has it
    server = FakeServer(
        challenge(realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop=None, opaque="5ccc")
    )
    await DigestAuthMiddleware("Mufasa", "CircleOfLife")(FakeRequest(url="http://h/dir/index.html"), server)
    (parameters,) = server.parameters
    assert parameters["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert not {"nc", "cnonce", "qop", "algorithm"} & parameters.keys()


async def test_hidden_name_of_the_rfc(fixed_cnonce):  # RFC 7616 section 3.9.2; its response is known to be wrong
    server = FakeServer(
        challenge(
            realm="api@example.org",
            nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            algorithm="SHA-512-256",
            charset="UTF-8",
            userhash="true",
        )
    )
    await DigestAuthMiddleware("J\u00e4s\u00f8n Doe", "Secret, or not?")(FakeRequest(url="http://h/doe.json"), server)
    (parameters,) = server.parameters
    assert parameters["userhash"] == "true"
    assert re.fullmatch("[0-9a-f]{64}", parameters["username"])
    assert "username*" not in parameters


@pytest.mark.parametrize(
    ("charset", "expected"), [("UTF-8", "username*=UTF-8''J%C3%A4s%C3%B8n%20%22Doe%22"), (None, "")]
)
async def test_name_beyond_ascii(charset, expected):
    server = FakeServer(challenge(charset=charset))
    await DigestAuthMiddleware('J\u00e4s\u00f8n "Doe"', "x")(FakeRequest(), server)
    assert expected in server.asked[1]
    assert server.asked[1].isascii()


async def test_names_with_quotes_are_escaped():
    server = FakeServer((401, [("WWW-Authenticate", r'Digest realm="a\"b\\c", nonce="n\"", qop="auth"')]))
    await DigestAuthMiddleware(r"me\"x", "p")(FakeRequest(url="http://x.org/a%22b"), server)
    assert r'realm="a\"b\\c", nonce="n\""' in server.asked[1]
    assert r'username="me\\\"x"' in server.asked[1]
    assert server.parameters[0]["realm"] == r'a"b\c'


# Choices.


async def test_first_challenge_that_can_be_answered_counts():
    fields = [
        ("WWW-Authenticate", 'Basic realm="b", Digest realm="r", nonce="1", algorithm=UNKNOWN, qop="auth"'),
        ("WWW-Authenticate", 'Digest realm="r", nonce="2", qop="future"'),
        ("WWW-Authenticate", 'Digest realm="r", nonce="3", algorithm=sha-256, qop="auth", Digest realm="r", nonce="4"'),
    ]
    server = FakeServer((401, fields))
    await DigestAuthMiddleware("me", "p")(FakeRequest(), server)
    assert [(each["nonce"], each["algorithm"]) for each in server.parameters] == [("3", "sha-256")]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("WWW-Authenticate", "Basic realm=x")],
        [("WWW-Authenticate", "Digest")],
        [("WWW-Authenticate", "Digest realm=x, qop=auth")],
        [("WWW-Authenticate", "Digest nonce=x, qop=auth")],
        [("WWW-Authenticate", "Digest realm=x, nonce=y, algorithm=MD4, qop=auth")],
        [("WWW-Authenticate", "Digest realm=x, nonce=y, qop=future")],
    ],
)
async def test_challenge_that_cannot_be_answered_is_the_callers(fields):
    server = FakeServer((401, fields))
    answer = await DigestAuthMiddleware("me", "p")(FakeRequest(), server)
    assert (answer.status, server.asked, server.released) == (401, [None], 0)


async def test_other_statuses_are_the_callers():
    server = FakeServer((407, [("WWW-Authenticate", "Digest realm=x, nonce=y, qop=auth")]))
    assert (await DigestAuthMiddleware("me", "p")(FakeRequest(), server)).status == 407
    assert server.asked == [None]


async def test_body_is_signed_where_only_that_is_offered():
    server = FakeServer(challenge(qop="auth-int"), challenge(qop="auth-int", nonce="m", stale="true"))
    request = FakeRequest("POST", body=get_payload(b"abc"))
    await DigestAuthMiddleware("me", "p")(request, server)
    assert [each["qop"] for each in server.parameters] == ["auth-int", "auth-int"]
    other = FakeServer(challenge(qop="auth-int"))
    await DigestAuthMiddleware("me", "p")(FakeRequest("POST", body=get_payload(b"abd")), other)
    assert server.parameters[0]["response"] != other.parameters[0]["response"]


async def test_compressed_body_cannot_be_signed():
    server = FakeServer(challenge(qop="auth-int"))
    request = FakeRequest("POST", body=get_payload(b"abc"), compress="gzip")
    assert (await DigestAuthMiddleware("me", "p")(request, server)).status == 401


async def test_login_that_latin_1_lacks_is_hashed_as_utf_8():
    for charset in (None, "UTF-8"):
        server = FakeServer(challenge(charset=charset))
        await DigestAuthMiddleware("łukasz", "ł")(FakeRequest(), server)
        assert "username*=UTF-8''%C5%82ukasz" in server.asked[1]


async def test_body_that_is_gone_is_not_sent_again():
    body = SimpleNamespace(consumed=True)
    server = FakeServer(challenge())
    assert (await DigestAuthMiddleware("me", "p")(FakeRequest("POST", body=body), server)).status == 401
    assert server.asked == [None]


# The life of a challenge.


async def test_wrong_password_is_tried_once():
    server = FakeServer(*[challenge(nonce=str(number)) for number in range(5)])
    answer = await DigestAuthMiddleware("me", "wrong")(FakeRequest(), server)
    assert (answer.status, len(server.asked)) == (401, 2)
    assert not server.answers[3:]


async def test_refused_answer_is_not_sent_again_unasked():
    middleware = DigestAuthMiddleware("me", "wrong")
    await middleware(FakeRequest(), FakeServer(challenge(), challenge()))
    server = FakeServer()
    await middleware(FakeRequest(), server)
    assert server.asked == [None]


async def test_stale_nonce_is_replaced_at_once():
    server = FakeServer(challenge(nonce="1"), challenge(nonce="2", stale="TRUE"))
    assert (await DigestAuthMiddleware("me", "p")(FakeRequest(), server)).status == 200
    assert [(each["nonce"], each["nc"]) for each in server.parameters] == [("1", "00000001"), ("2", "00000001")]


async def test_endless_staleness_ends():
    server = FakeServer(*[challenge(nonce=str(number), stale="true") for number in range(9)])
    assert (await DigestAuthMiddleware("me", "p")(FakeRequest(), server)).status == 401
    assert len(server.asked) == 3


async def test_further_requests_are_signed_unasked_and_counted():
    middleware = DigestAuthMiddleware("me", "p")
    server = FakeServer(challenge())
    for path in ("/", "/a", "/b?c=d"):
        await middleware(FakeRequest(url=f"http://x.org{path}"), server)
    assert [(each["uri"], each["nc"]) for each in server.parameters] == [
        ("/", "00000001"),
        ("/a", "00000002"),
        ("/b?c=d", "00000003"),
    ]
    assert len({each["cnonce"] for each in server.parameters}) == 1
    assert len({each["response"] for each in server.parameters}) == 3


async def test_without_preemption_each_request_is_challenged():
    middleware = DigestAuthMiddleware("me", "p", preemptive=False)
    server = FakeServer(challenge(nonce="1"), (200, []), challenge(nonce="2"))
    await middleware(FakeRequest(), server)
    await middleware(FakeRequest(), server)
    assert [value is None for value in server.asked] == [True, False, True, False]


async def test_old_nonce_that_is_challenged_again_is_answered_anew():
    middleware = DigestAuthMiddleware("me", "p")
    server = FakeServer(challenge(nonce="1"), (200, []), challenge(nonce="2"))
    await middleware(FakeRequest(), server)
    assert (await middleware(FakeRequest(), server)).status == 200
    assert [each["nonce"] for each in server.parameters] == ["1", "1", "2"]


async def test_same_nonce_again_means_a_wrong_password():
    middleware = DigestAuthMiddleware("me", "p")
    server = FakeServer(challenge(), (200, []), challenge())
    await middleware(FakeRequest(), server)
    assert (await middleware(FakeRequest(), server)).status == 401
    assert len(server.asked) == 3


async def test_next_nonce_of_the_server_is_used():
    middleware = DigestAuthMiddleware("me", "p")
    server = FakeServer(challenge(), (200, [("Authentication-Info", 'nextnonce="m", qop=auth')]))
    await middleware(FakeRequest(), server)
    await middleware(FakeRequest(), server)
    assert [(each["nonce"], each["nc"]) for each in server.parameters] == [("n", "00000001"), ("m", "00000001")]


async def test_domain_bounds_what_is_signed_unasked():
    middleware = DigestAuthMiddleware("me", "p")
    server = FakeServer(challenge(domain="/private http://x.org/also http://y.org/ http://x.org:99999/"))
    await middleware(FakeRequest(url="http://x.org/private/1"), server)
    for path in ("/private/2", "/public", "/also/3"):
        await middleware(FakeRequest(url=f"http://x.org{path}"), server)
    assert [each["uri"] for each in server.parameters] == ["/private/1", "/private/2", "/also/3"]
    assert server.asked[-2] is None


async def test_origins_have_challenges_of_their_own():
    middleware = DigestAuthMiddleware("me", "p")
    await middleware(FakeRequest(url="https://x.org/"), FakeServer(challenge()))
    for url in ("http://x.org/", "https://x.org:444/", "https://w.x.org/"):
        server = FakeServer()
        await middleware(FakeRequest(url=url), server)
        assert server.asked == [None]


@pytest.mark.parametrize("url", ["http://evil.org/", "https://x.org/", "http://x.org:81/", "http://w.x.org/"])
async def test_origin_that_a_redirect_led_to_gets_no_answer(url):  # a-050, CVE-2026-54276
    middleware = DigestAuthMiddleware("me", "p")
    server = FakeServer(challenge())
    answer = await middleware(FakeRequest(url=url, asked_url=URL("http://x.org/")), server)
    assert (answer.status, server.asked) == (401, [None])


async def test_authorization_of_the_caller_is_sent_first():
    middleware = DigestAuthMiddleware("me", "p")
    await middleware(FakeRequest(), FakeServer(challenge()))
    request = FakeRequest()
    request.headers["Authorization"] = "Bearer x"
    server = FakeServer()
    await middleware(request, server)
    assert server.asked == ["Bearer x"]


async def test_number_of_remembered_origins_is_limited():
    middleware = DigestAuthMiddleware("me", "p")
    for number in range(300):
        await middleware(FakeRequest(url=f"http://h{number}.org/"), FakeServer(challenge()))
    first, last = FakeServer(), FakeServer()
    await middleware(FakeRequest(url="http://h0.org/"), first)
    await middleware(FakeRequest(url="http://h299.org/"), last)
    assert (first.asked[0], last.asked[0] is None) == (None, False)


@pytest.mark.parametrize("arguments", [(None, "p"), ("l", None), ("a:b", "p")])
def test_bad_login_or_password_is_refused(arguments):
    with pytest.raises(ValueError, match="login"):
        DigestAuthMiddleware(*arguments)


def test_password_is_not_shown():
    assert "secret" not in repr(DigestAuthMiddleware("me", "secret"))
