"""A server that asks for the digest scheme, checked by other clients too. Source: RFC 7616."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from urllib.parse import unquote
from urllib.request import parse_http_list, parse_keqv_list

from corelet import web

_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256", "SHA": "sha1", "SHA-512": "sha512"}


@dataclass
class DigestServer:
    """A handler; each nonce is good for a number of requests.

    Args:
        login: who may come in.
        password: and how.
        algorithm: as in the challenge; "" to name none.
        qop: as in the challenge; "" for RFC 2069.
        charset: as in the challenge.
        userhash: ask for hidden names.
        uses: requests for each nonce; then it is stale.
        gives_next: tell the next nonce instead of letting one become stale.
    """

    login: str = "me"
    password: str = "secret"
    algorithm: str = "SHA-256"
    qop: str = "auth"
    charset: str = ""
    userhash: bool = False
    uses: int = 1000
    gives_next: bool = False
    realm: str = 'the "realm"'
    statuses: list[int] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer 200 with the body that came, or 401."""
        body = await request.read()
        value = request.headers.get("Authorization", "")
        is_stale = False
        if value:
            try:
                is_stale = self._check(request, body, value)
            except (AssertionError, KeyError, ValueError) as error:
                self.errors.append(f"{error!r} in {value}")
                return self._challenge()
        if not value or is_stale:
            return self._challenge(is_stale=is_stale)
        self.statuses.append(200)
        response = web.Response(body=body)
        if self.gives_next:
            response.headers["Authentication-Info"] = f'nextnonce="{self._make_nonce()}"'
        return response

    def _make_nonce(self) -> str:
        nonce = secrets.token_urlsafe(12)
        self.counts[nonce] = 0
        return nonce

    def _challenge(self, *, is_stale: bool = False) -> web.Response:
        self.statuses.append(401)
        realm = self.realm.replace('"', '\\"')
        pieces = [f'realm="{realm}"', f'nonce="{self._make_nonce()}"', 'opaque="o,=p"']
        pieces += [f"algorithm={self.algorithm}"] if self.algorithm else []
        pieces += [f'qop="{self.qop}"'] if self.qop else []
        pieces += [f"charset={self.charset}"] if self.charset else []
        pieces += ["userhash=true"] if self.userhash else []
        pieces += ["stale=true"] if is_stale else []
        return web.Response(status=401, headers={"WWW-Authenticate": f"Digest {', '.join(pieces)}"}, text="who?")

    def _check(self, request: web.Request, body: bytes, value: str) -> bool:
        """Check an answer; whether its nonce is too old."""
        scheme, _, rest = value.partition(" ")
        assert scheme.lower() == "digest"
        given = parse_keqv_list(parse_http_list(rest))
        assert given["realm"].replace('\\"', '"') == self.realm
        assert given["opaque"] == "o,=p"
        assert given["uri"] == request.raw_path
        assert given.get("algorithm", "") == self.algorithm
        assert self._read_name(given) == self._expected_name()
        nonce = given["nonce"]
        self.counts[nonce] += 1
        if self.qop:
            assert given["qop"] in self.qop.replace(" ", "").split(",")
            assert int(given["nc"], 16) == self.counts[nonce], "the count of a nonce goes up one by one"
            assert len(given["nc"]) == 8
        assert given["response"] == self._sign(request.method, body, given)
        return self.counts[nonce] > self.uses

    def _read_name(self, given: dict[str, str]) -> str:
        if "username*" not in given:
            return given["username"]
        charset, _, coded = given["username*"].split("'")
        return unquote(coded, charset)

    def _expected_name(self) -> str:
        return self._hash(f"{self.login}:{self.realm}") if self.userhash else self.login

    def _sign(self, method: str, body: bytes, given: dict[str, str]) -> str:
        secret = self._hash(f"{self.login}:{self.realm}:{self.password}")
        if self.algorithm.lower().endswith("-sess"):
            secret = self._hash(f"{secret}:{given['nonce']}:{given['cnonce']}")
        signed = f"{method}:{given['uri']}"
        if given.get("qop") == "auth-int":
            signed += ":" + self._hash(body)
        middle = f":{given['nc']}:{given['cnonce']}:{given['qop']}" if self.qop else ""
        return self._hash(f"{secret}:{given['nonce']}{middle}:{self._hash(signed)}")

    def _hash(self, data: str | bytes) -> str:
        name = _HASHES[self.algorithm.upper().removesuffix("-SESS") or "MD5"]
        return hashlib.new(name, data.encode() if isinstance(data, str) else data).hexdigest()
