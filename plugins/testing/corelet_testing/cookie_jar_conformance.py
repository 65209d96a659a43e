"""What every cookie jar must do, as tests that its author runs."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from http.cookies import SimpleCookie
from typing import Final

from yarl import URL

from corelet import web
from corelet.abc import AbstractCookieJar

from .conformance import Conformance

_SHOP: Final = URL("https://shop.example.com/cart/items")


class CookieJarConformance(Conformance):
    """Test a cookie jar that keeps cookies: ``abc.AbstractCookieJar``. Source: RFC 6265 section 5."""

    port = "a cookie jar"

    @abstractmethod
    def make_jar(self) -> AbstractCookieJar:
        """Make an empty jar; where it can choose, one that takes cookies of IP addresses."""

    def set(self, jar: AbstractCookieJar, *values: str, url: URL = _SHOP) -> None:
        """Have a server set cookies, by the values of Set-Cookie."""
        jar.update_cookies_from_headers(values, url)

    def list_sent(self, jar: AbstractCookieJar, url: str | URL = _SHOP) -> dict[str, str]:
        """List what a request to a URL takes along."""
        return {name: morsel.value for name, morsel in jar.filter_cookies(URL(url)).items()}

    async def test_a_cookie_goes_back_to_its_host_only(self) -> None:
        """Without a domain of its own neither to others, nor to those below. RFC 6265 section 5.3, step 6."""
        jar = self.make_jar()
        self.expect_equal((len(jar), list(jar)), (0, []), "a new jar is empty")
        self.set(jar, "a=1; Path=/")
        self.expect_equal(len(jar), 1, "len() counts the cookies")
        self.expect_equal([(morsel.key, morsel.value) for morsel in jar], [("a", "1")], "iterating gives Morsels")
        for url, sent in [
            ("https://shop.example.com/", {"a": "1"}),
            ("https://SHOP.example.com:8443/x", {"a": "1"}),
            ("https://www.shop.example.com/", {}),
            ("https://example.com/", {}),
            ("https://evilshop.example.com/", {}),
            ("https://shop.example.com.evil.test/", {}),
        ]:
            self.expect_equal(self.list_sent(jar, url), sent, f"what goes to {url}")
        self.expect(("shop.example.com", "/", "a") in jar.host_only_cookies, "host_only_cookies has it")

    async def test_a_domain_is_for_all_below_it(self) -> None:
        """And may be set by those alone. RFC 6265 sections 5.1.3 and 5.3."""
        jar = self.make_jar()
        self.set(jar, "a=1; Domain=.example.com; Path=/", "b=2; Domain=other.test", "c=3; Domain=www.shop.example.com")
        for url in ("https://shop.example.com/", "https://example.com/", "https://x.y.example.com/"):
            self.expect_equal(self.list_sent(jar, url), {"a": "1"}, f"what goes to {url}")
        for url in ("https://badexample.com/", "https://other.test/", "https://www.shop.example.com/"):
            sent = self.list_sent(jar, url)
            self.expect(not {"b", "c"} & set(sent), "no host sets cookies for another domain", sent)

    async def test_a_path_is_for_all_below_it(self) -> None:
        """Whole segments; by default that of the URL which set it. RFC 6265 section 5.1.4."""
        jar = self.make_jar()
        self.set(jar, "default=1", "given=2; Path=/cart", "root=3; Path=/")
        for path, sent in [
            ("/cart/items", {"default", "given", "root"}),
            ("/cart", {"default", "given", "root"}),
            ("/cart/items/7", {"default", "given", "root"}),
            ("/cartoon", {"root"}),
            ("/", {"root"}),
        ]:
            self.expect_equal(set(self.list_sent(jar, _SHOP.with_path(path))), sent, f"which cookies go to {path}")

    async def test_secure_cookies_need_tls(self) -> None:
        """RFC 6265 section 5.4."""
        jar = self.make_jar()
        self.set(jar, "a=1; Secure; Path=/", "b=2; Path=/")
        self.expect_equal(set(self.list_sent(jar)), {"a", "b"}, "https gets both")
        self.expect_equal(set(self.list_sent(jar, _SHOP.with_scheme("http"))), {"b"}, "http gets no secure cookie")

    async def test_cookies_end(self) -> None:
        """By Max-Age, which goes before Expires. RFC 6265 section 5.3, step 3."""
        jar = self.make_jar()
        past, future = "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"
        self.set(jar, "a=1; Path=/", "b=2; Path=/", f"c=3; Path=/; Expires={future}", "d=4; Path=/; Max-Age=1000000000")
        self.expect_equal(set(self.list_sent(jar)), {"a", "b", "c", "d"}, "cookies that have time are sent")
        self.set(jar, "a=; Path=/; Max-Age=0", f"b=; Path=/; Expires={past}", f"c=3; Path=/; Max-Age=9; Expires={past}")
        self.expect_equal(set(self.list_sent(jar)), {"c", "d"}, "a server deletes a cookie by a time in the past")
        self.expect_equal(len(jar), 2, "len() counts no cookie that has ended")
        self.set(jar, "short=1; Path=/; Max-Age=1")
        self.expect("short" in self.list_sent(jar), "a cookie is there before its time")
        await asyncio.sleep(1.05)
        self.expect("short" not in self.list_sent(jar), "a cookie is gone after its time")

    async def test_a_new_value_replaces_the_old_one(self) -> None:
        """Of the same name, domain and path; others stay. RFC 6265 section 5.3, step 11."""
        jar = self.make_jar()
        self.set(jar, "a=1; Path=/", "a=2; Path=/cart")
        self.set(jar, "a=3; Path=/")
        self.expect_equal(self.list_sent(jar, _SHOP.with_path("/")), {"a": "3"}, "the new value is sent")
        self.expect_equal(self.list_sent(jar), {"a": "2"}, "of two of one name the one with the longer path is sent")
        self.expect_equal(len(jar), 2, "what is replaced is gone")

    async def test_what_can_not_be_read_is_dropped(self) -> None:
        """And the cookies beside it are taken. RFC 6265 section 5.2."""
        jar = self.make_jar()
        self.set(
            jar, "", ";;;", "=x", "a\x00=1", "good=1; Path=/; Max-Age=nonsense; Expires=never", "\udcff=1", "x" * 9000
        )
        self.expect_equal(self.list_sent(jar).get("good"), "1", "a good cookie among bad ones is taken")

    async def test_an_application_sets_cookies_too(self) -> None:
        """Mappings, pairs and SimpleCookies; without a URL for every host."""
        jar = self.make_jar()
        jar.update_cookies({"a": "1"}, URL())
        jar.update_cookies([("b", "2")], _SHOP)
        cookie: SimpleCookie = SimpleCookie()
        cookie["c"] = "3"
        cookie["c"]["path"] = "/"
        jar.update_cookies(cookie, _SHOP)
        self.expect_equal(self.list_sent(jar), {"a": "1", "b": "2", "c": "3"}, "what the application set is sent")
        self.expect_equal(self.list_sent(jar, "http://other.test/"), {"a": "1"}, "without a URL it is for every host")

    async def test_cookies_are_dropped_on_demand(self) -> None:
        """All, by a predicate, or those of a domain and below it."""
        jar = self.make_jar()
        for host in ("example.com", "shop.example.com", "badexample.com", "other.test"):
            self.set(jar, "a=1; Path=/", "b=2; Path=/", url=URL(f"https://{host}/"))
        jar.clear(lambda morsel: morsel.key == "b")
        self.expect_equal((len(jar), {morsel.key for morsel in jar}), (4, {"a"}), "clear(predicate) drops those")
        jar.clear_domain("example.com")
        kept = {str(host): self.list_sent(jar, f"https://{host}/") for host in ("shop.example.com", "badexample.com")}
        self.expect_equal(
            kept, {"shop.example.com": {}, "badexample.com": {"a": "1"}}, "clear_domain() drops a domain with all below"
        )
        jar.clear()
        self.expect_equal(
            (len(jar), list(jar), self.list_sent(jar, "https://other.test/")), (0, [], {}), "clear() drops all"
        )

    async def test_a_session_uses_it(self) -> None:
        """Cookies that a server sets come back to it with the next request."""

        async def answer(request: web.Request) -> web.Response:
            response = web.json_response(dict(request.cookies))
            response.set_cookie("seen", "yes", path="/")
            return response

        jar = self.make_jar()
        app = web.Application(handler=answer, plugins=[])
        async with self.serve(app, cookie_jar=jar) as client:
            found = []
            for _ in range(2):
                async with client.get("/") as response:
                    found.append(await response.json())
        expected = [{}, {"seen": "yes"}] if jar.unsafe else [{}, {}]
        self.expect_equal(found, expected, "a server gets back what it has set, unless IP addresses are refused")
