"""Does a real Django site work through the proxy as it does without it, and does nobody get another's page?"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.sites.django_site.prepare import FILES
from tests.system.browser import Answer, Browser
from tests.system.conftest import Site

Browse = Callable[..., Browser]


def greeted(answer: Answer) -> str:
    """Return whom a page greets."""
    found = re.search(r"Hello (\w+)", answer.text)
    assert found, (answer.status, answer.text)
    return found[1]


def run(answer: Answer) -> int:
    """Return the number of the run that made a page."""
    found = re.search(r"run (\d+)", answer.text)
    assert found, (answer.status, answer.text)
    return int(found[1])


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class TestTheSiteWorks:
    """Each of these runs twice: directly, and through the proxy."""

    def test_logging_in_and_out(self, site: Site, browse: Browse, name: str) -> None:
        visitor = browse(site)
        assert greeted(visitor.get(f"/hello/{name}/")) == "stranger"
        answer = visitor.log_in("alice")
        assert answer.headers["Location"] == "/hello/home/"
        assert greeted(visitor.follow(answer)) == "alice"
        assert greeted(visitor.get(f"/hello/{name}/")) == "alice"
        visitor.log_out()
        assert "sessionid" not in visitor.cookies
        assert greeted(visitor.get(f"/hello/{name}/")) == "stranger"

    def test_a_wrong_password_is_told_and_logs_nobody_in(self, site: Site, browse: Browse, name: str) -> None:
        visitor = browse(site)
        answer = visitor.submit("/accounts/login/", {"username": "alice", "password": "bob-password"})
        assert answer.status == 200
        assert "Please enter a correct username and password" in answer.text
        assert greeted(visitor.get(f"/hello/{name}/")) == "stranger"

    def test_a_page_for_members_leads_to_the_login_and_back(self, site: Site, browse: Browse, name: str) -> None:
        visitor = browse(site)
        path = f"/members/{name}/"
        asked_to_log_in = visitor.get(path)
        assert asked_to_log_in.headers["Location"] == f"/accounts/login/?next={path}"
        form = visitor.follow(asked_to_log_in)
        fields = {"username": "bob", "password": "bob-password", "next": path}
        answer = visitor.post("/accounts/login/", {"csrfmiddlewaretoken": form.csrf_token, **fields})
        assert greeted(visitor.follow(answer)) == "bob"

    def test_a_form_is_posted_and_its_page_shows_it(self, site: Site, browse: Browse, name: str) -> None:
        visitor = browse(site)
        path = f"/form/{name}/"
        for text in ("first", "sécond & third"):
            answer = visitor.submit(path, {"text": text})
            assert answer.status == 302
            page = visitor.follow(answer)
            assert text.replace("&", "&amp;") in page.text

    def test_a_form_without_its_token_is_refused(self, site: Site, browse: Browse, name: str) -> None:
        visitor = browse(site)
        visitor.get(f"/form/{name}/")
        assert visitor.post(f"/form/{name}/", {"text": "forged"}).status == 403
        assert "forged" not in visitor.get(f"/form/{name}/").text

    def test_a_form_from_another_site_is_refused(self, site: Site, browse: Browse, name: str) -> None:
        visitor = browse(site)
        token = visitor.get(f"/form/{name}/").csrf_token
        form = {"csrfmiddlewaretoken": token, "text": "forged"}
        answer = visitor.post(f"/form/{name}/", form, {"Origin": "http://elsewhere.example"})
        assert answer.status == 403

    def test_a_message_is_shown_once(self, site: Site, browse: Browse, name: str) -> None:
        visitor = browse(site)
        answer = visitor.submit(f"/notify/{name}/", {"text": "the draft"})
        assert '<p class="success">saved the draft</p>' in visitor.follow(answer).text
        assert "saved" not in visitor.get(f"/notify/{name}/").text

    def test_switching_the_language(self, site: Site, browse: Browse, name: str) -> None:
        visitor = browse(site)
        path = f"/lang/{name}/"
        token = visitor.get(f"/form/{name}/").csrf_token
        assert "<p>Yes</p>" in visitor.get(path).text
        for code, word in (("es", "Sí"), ("en", "Yes"), ("es", "Sí")):
            form = {"csrfmiddlewaretoken": token, "language": code, "next": path}
            page = visitor.follow(visitor.post("/i18n/setlang/", form))
            assert f'lang="{code}"' in page.text
            assert f"<p>{word}</p>" in page.text
            assert page.headers["Content-Language"] == code

    def test_the_admin_site(self, site: Site, browse: Browse) -> None:
        visitor = browse(site)
        asked_to_log_in = visitor.get("/admin/")
        assert asked_to_log_in.headers["Location"] == "/admin/login/?next=/admin/"
        form = visitor.follow(asked_to_log_in)
        assert "Django administration" in form.text
        login = {"csrfmiddlewaretoken": form.csrf_token, "username": "root", "password": "root-password"}
        index = visitor.follow(visitor.post("/admin/login/?next=/admin/", {**login, "next": "/admin/"}))
        assert "Site administration" in index.text
        users = visitor.get("/admin/auth/user/")
        assert "alice" in users.text
        assert "bob" in users.text
        stranger = browse(site)
        for path in ("/admin/", "/admin/auth/user/"):
            assert stranger.get(path).status == 302

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            pytest.param("/static/site.css", "text/css", id="own-stylesheet"),
            pytest.param("/static/admin/css/base.css", "text/css", id="the-admins-stylesheet"),
            pytest.param("/static/admin/img/icon-yes.svg", "image/svg+xml", id="an-image"),
        ],
    )
    def test_static_files(self, site: Site, browse: Browse, path: str, kind: str) -> None:
        visitor = browse(site)
        file = visitor.get(path)
        assert file.status == 200
        assert file.headers.get_content_type() == kind
        assert int(file.headers["Content-Length"]) == len(file.body)
        again = visitor.get(path, {"If-Modified-Since": file.headers["Last-Modified"]})
        assert (again.status, again.body) == (304, b"")
        head = visitor.get(path, method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Length"] == file.headers["Content-Length"]
        assert visitor.get("/static/missing.css").status == 404

    @pytest.mark.parametrize("view", ["download", "download-chunked"])
    @pytest.mark.parametrize("file", FILES)
    def test_downloads_arrive_whole(
        self, site: Site, browse: Browse, name: str, django_files: Path, view: str, file: str
    ) -> None:
        visitor = browse(site)
        path = f"/{view}/{name}/{file}"
        for _ in range(2):
            response = visitor.open(path)
            with response:
                assert response.status == 200
                assert response.headers.get("Content-Length") in {None, str(FILES[file])}
                if view == "download":
                    assert response.headers["Content-Length"] == str(FILES[file])
                received = hashlib.sha256()
                while part := response.read(1 << 18):
                    received.update(part)
            assert received.hexdigest() == digest(django_files / file)

    @pytest.mark.parametrize("file", FILES)
    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [
            pytest.param("bytes=0-0", 0, 0, id="the-first-byte"),
            pytest.param("bytes=65530-200001", 65530, 200001, id="a-part"),
            pytest.param("bytes=300000-", 300000, None, id="from-there-on"),
            pytest.param("bytes=-7", -7, None, id="the-last-seven"),
        ],
    )
    @pytest.mark.parametrize("warm", [pytest.param(False, id="cold"), pytest.param(True, id="warm")])
    def test_ranges(
        self,
        site: Site,
        browse: Browse,
        name: str,
        django_files: Path,
        *,
        file: str,
        asked: str,
        first: int,
        last: int | None,
        warm: bool,
    ) -> None:
        visitor = browse(site)
        content = (django_files / file).read_bytes()
        path = f"/ranges/{name}/{file}"
        if warm:
            assert visitor.get(path).body == content
        answer = visitor.get(path, {"Range": asked})
        start = first if first >= 0 else len(content) + first
        end = len(content) - 1 if last is None else last
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {start}-{end}/{len(content)}"
        assert answer.body == content[start : end + 1]

    def test_an_upload_of_several_mebibytes(self, site: Site, browse: Browse, django_files: Path) -> None:
        content = (django_files / "large.bin").read_bytes()[: 5 << 20]
        head = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="five.bin"\r\n\r\n'
        body = head + content + b"\r\n--xyz--\r\n"
        with browse(site).open(
            "/upload/", {"Content-Type": "multipart/form-data; boundary=xyz"}, "POST", body
        ) as response:
            assert response.read().decode() == f"five.bin {len(content)} {hashlib.sha256(content).hexdigest()}"

    def test_a_streaming_view_arrives_as_it_is_made(self, site: Site, browse: Browse, name: str) -> None:
        with browse(site).open(f"/stream/{name}/") as response:
            assert response.readline() == b"first part\n"
            # The view waits for this; had the first part not come before the second was made, we would not be here.
            assert browse(site).get(f"/poke/{name}/").text == "poked"
            assert response.read() == b"second part\n"

    @pytest.mark.parametrize(
        ("view", "status"),
        [pytest.param("gone", 404, id="not-found"), pytest.param("broken", 500, id="a-fault-in-the-view")],
    )
    def test_errors_stay_the_sites_own(self, site: Site, browse: Browse, name: str, view: str, status: int) -> None:
        for _ in range(2):
            assert browse(site).get(f"/{view}/{name}/").status == status
        assert site.hits(name) == 2

    def test_compressed_and_plain_pages(self, site: Site, browse: Browse, name: str) -> None:
        visitor = browse(site)
        path = f"/gzip/{name}/"
        for _ in range(2):
            packed = visitor.get(path, {"Accept-Encoding": "gzip"})
            plain = visitor.get(path, {"Accept-Encoding": "identity"})
            assert packed.headers["Content-Encoding"] == "gzip"
            assert "Content-Encoding" not in plain.headers
            assert len(packed.body) < len(plain.body)
            assert packed.text.endswith("no play ")
            assert plain.text.endswith("no play ")

    def test_what_django_says_in_its_fields_arrives(self, site: Site, browse: Browse, name: str) -> None:
        answer = browse(site).get(f"/never-cache/{name}/")
        assert answer.headers["Cache-Control"] == "max-age=0, no-cache, no-store, must-revalidate, private"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Language"] == "en"
        assert answer.headers["Vary"] == "Accept-Language"

    def test_many_pages_over_one_connection(self, site: Site, browse: Browse, name: str) -> None:
        visitor = browse(site)
        for number in range(30):
            answer = visitor.get(f"/page/{name}/?{number % 10}")
            assert f"query {number % 10}=" in answer.text


class TestAnonymousPages:
    """What the cache is there for."""

    @pytest.mark.rfc(9111, "4")
    def test_the_second_visitor_is_answered_from_the_cache(self, cached: Site, browse: Browse, name: str) -> None:
        first = browse(cached).get(f"/page/{name}/")
        assert (run(first), first.is_hit, first.is_stored) == (1, False, True)
        assert first.cache_status[:2] == ["sitecache", "fwd=uri-miss"]
        for _ in range(3):
            again = browse(cached).get(f"/page/{name}/")
            assert again.is_hit
            assert again.text == first.text
            assert int(again.headers["Age"]) >= 0
        assert cached.hits(name) == 1

    def test_the_sites_lifetime_is_told_as_django_tells_it(self, cached: Site, browse: Browse, name: str) -> None:
        answer = browse(cached).get(f"/page/{name}/")
        assert answer.headers["Cache-Control"] == "max-age=600"
        times = [parsedate_to_datetime(answer.headers[field]) for field in ("Date", "Expires")]
        assert abs((times[1] - times[0]).total_seconds() - 600) <= 1

    def test_queries_are_pages_of_their_own(self, cached: Site, browse: Browse, name: str) -> None:
        visitor = browse(cached)
        for query in ("", "?", "?a=1&b=2", "?b=2&a=1", "?a=1&b=2"):
            visitor.get(f"/page/{name}/{query}")
        assert cached.hits(name) in {3, 4}  # whether an empty query is none is the key's business (RFC 3986 §6.2.3)
        assert "query a=1&amp;b=2" not in visitor.get(f"/page/{name}/?b=2&a=1").text

    def test_head_is_answered_from_a_stored_get(self, cached: Site, browse: Browse, name: str) -> None:
        visitor = browse(cached)
        page = visitor.get(f"/page/{name}/")
        head = visitor.get(f"/page/{name}/", method="HEAD")
        assert head.is_hit
        assert head.body == b""
        assert head.headers["Content-Length"] == str(len(page.body))
        assert cached.hits(name) == 1

    @pytest.mark.parametrize(
        "view", ["public", "cache-page", "hello", "hello-for-a-minute", "lang", "vary", "gzip", "hello-undeclared"]
    )
    def test_stored(self, cached: Site, browse: Browse, name: str, view: str) -> None:
        pages = [browse(cached).get(f"/{view}/{name}/") for _ in range(3)]
        assert [page.is_hit for page in pages] == [False, True, True]
        assert cached.hits(name) == 1

    @pytest.mark.parametrize(
        ("view", "why"),
        [
            pytest.param("never-cache", "no-store", id="never_cache"),
            pytest.param("private", "private", id="private"),
            pytest.param("hello-private", "private", id="private-and-vary"),
            pytest.param("set-cookie", "set-cookie", id="a-cookie-for-each-visitor"),
            pytest.param("set-cookie-public", "set-cookie", id="a-cookie-on-a-page-called-public"),
            pytest.param("form", "set-cookie", id="a-form-with-its-token"),
            pytest.param("gone", "no-freshness", id="not-found"),
        ],
    )
    def test_not_stored_and_told_why(self, cached: Site, browse: Browse, name: str, view: str, why: str) -> None:
        for count in (1, 2, 3):
            answer = browse(cached).get(f"/{view}/{name}/")
            assert not answer.is_hit
            assert not answer.is_stored
            assert f"detail={why}" in answer.cache_status
            assert cached.hits(name) == count

    @pytest.mark.rfc(9111, "3")
    def test_a_404_with_a_lifetime_of_its_own_is_stored(self, cached: Site, browse: Browse, name: str) -> None:
        answers = [browse(cached).get(f"/gone-for-a-minute/{name}/") for _ in range(2)]
        assert [(answer.status, answer.is_hit) for answer in answers] == [(404, False), (404, True)]
        assert cached.hits(name) == 1

    def test_every_visitor_gets_a_cookie_of_their_own(self, cached: Site, browse: Browse, name: str) -> None:
        visitors = [browse(cached) for _ in range(3)]
        for visitor in visitors:
            visitor.get(f"/set-cookie/{name}/")
        assert [visitor.cookies["ticket"] for visitor in visitors] == ["number-1", "number-2", "number-3"]

    @pytest.mark.rfc(9111, "4.1")
    def test_variants_do_not_mix(self, cached: Site, browse: Browse, name: str) -> None:
        visitor = browse(cached)
        for _ in range(2):
            for flavour in ("salt", "sweet"):
                assert f"flavour {flavour}" in visitor.get(f"/vary/{name}/", {"X-Flavour": flavour}).text
            assert "flavour plain" in visitor.get(f"/vary/{name}/").text
        assert cached.hits(name) == 3

    @pytest.mark.rfc(9111, "5.2.2.4")
    def test_no_cache_is_validated_on_each_use(self, cached: Site, browse: Browse, name: str) -> None:
        first = browse(cached).get(f"/etag/{name}/")
        assert first.is_stored
        for _ in range(2):
            again = browse(cached).get(f"/etag/{name}/")
            assert (again.status, again.text) == (200, first.text)
            assert "fwd-status=304" in again.cache_status
        # The view ran once: the two later requests were answered by the etag function alone.
        assert cached.hits(name) == 1

    @pytest.mark.rfc(9110, "13.1.2")
    def test_a_visitor_who_has_the_page_is_told_304_by_the_cache(self, cached: Site, browse: Browse, name: str) -> None:
        visitor = browse(cached)
        whole = visitor.get(f"/ranges/{name}/small.bin")
        again = visitor.get(f"/ranges/{name}/small.bin", {"If-None-Match": whole.headers["ETag"]})
        assert (again.status, again.body, again.is_hit) == (304, b"", True)
        assert cached.hits(name) == 1

    @pytest.mark.rfc(9111, "3.4")
    def test_ranges_come_from_the_stored_whole(self, cached: Site, browse: Browse, name: str) -> None:
        visitor = browse(cached)
        whole = visitor.get(f"/ranges/{name}/small.bin").body
        part = visitor.get(f"/ranges/{name}/small.bin", {"Range": "bytes=1000-1999"})
        assert (part.status, part.body) == (206, whole[1000:2000])
        assert part.is_hit
        assert cached.hits(name) == 1

    def test_cookies_of_analytics_change_nothing(self, cached: Site, browse: Browse, name: str) -> None:
        for number in range(3):
            visitor = browse(cached)
            visitor.cookies = {"_ga": f"GA1.2.{number}", "_pk_id.1": str(number)}
            assert visitor.get(f"/hello/{name}/").is_hit == (number > 0)
        assert cached.hits(name) == 1

    def test_a_session_beside_them_has_a_page_of_its_own(self, cached: Site, browse: Browse, name: str) -> None:
        path = f"/hello/{name}/"
        visitors = {who: browse(cached) for who in ("alice", "bob", "stranger", "another")}
        for who in ("alice", "bob"):
            visitors[who].log_in(who)
        for number, visitor in enumerate(visitors.values()):
            visitor.cookies |= {"_ga": f"GA1.2.{number}", "_clck": str(number)}
        expected = {"alice": "alice", "bob": "bob", "stranger": "stranger", "another": "stranger"}
        for _ in range(2):
            assert {who: greeted(visitor.get(path)) for who, visitor in visitors.items()} == expected
            visitors["alice"].cookies["_ga"] = "GA1.2.new"
        assert visitors["alice"].get(path).is_hit
        assert cached.hits(name) == 3


#: Views that greet, and how often a proxy may let one of three visitors reuse a page at the second visit.
GREETING = [
    pytest.param("hello", id="vary-cookie"),
    pytest.param("hello-for-a-minute", id="vary-cookie-and-max-age"),
    pytest.param("hello-private", id="private"),
]
ORDERS = [pytest.param(order, id="-".join(order)) for order in itertools.permutations(("alice", "bob", "stranger"))]


class TestNobodyGetsAnothersPage:
    """Two users and an anonymous visitor on the same URLs, in every order."""

    @staticmethod
    def visitors(site: Site, browse: Browse, order: tuple[str, ...]) -> dict[str, Browser]:
        everybody = {who: browse(site) for who in order}
        for who, visitor in everybody.items():
            if who != "stranger":
                visitor.log_in(who)
        return everybody

    @pytest.mark.parametrize("view", GREETING)
    @pytest.mark.parametrize("order", ORDERS)
    def test_each_is_greeted_by_name(
        self, site: Site, browse: Browse, name: str, order: tuple[str, ...], view: str
    ) -> None:
        everybody = self.visitors(site, browse, order)
        path = f"/{view}/{name}/"
        for _ in range(2):
            for who, visitor in everybody.items():
                assert greeted(visitor.get(path)) == who
        if site.is_proxied:
            # Pages that vary by cookie ran once for each of the three, private ones each time.
            assert site.hits(name) == (6 if view == "hello-private" else 3)
        for who in ("alice", "bob"):
            everybody[who].log_out()
            for visitor in everybody.values():
                assert greeted(visitor.get(path)) in {"stranger", *(w for w in order if everybody[w] is visitor)}
            assert greeted(everybody[who].get(path)) == "stranger"
        # The same people again, the other way round, in new sessions.
        everybody["alice"].log_in("bob")
        everybody["bob"].log_in("alice")
        assert greeted(everybody["alice"].get(path)) == "bob"
        assert greeted(everybody["bob"].get(path)) == "alice"
        assert greeted(everybody["stranger"].get(path)) == "stranger"
        assert greeted(browse(site).get(path)) == "stranger"

    @pytest.mark.parametrize("order", ORDERS)
    def test_a_page_that_forgets_to_vary(self, site: Site, browse: Browse, name: str, order: tuple[str, ...]) -> None:
        everybody = {who: browse(site) for who in order}
        for who, visitor in everybody.items():
            if who != "stranger":
                visitor.cookies["who"] = who
        for _ in range(3):
            for who, visitor in everybody.items():
                answer = visitor.get(f"/hello-undeclared/{name}/")
                assert greeted(answer) == who
                if site.is_proxied and who != "stranger":
                    assert not answer.is_hit
                    assert not answer.is_stored
                    assert "detail=cookie" in answer.cache_status

    @pytest.mark.parametrize("order", ORDERS)
    def test_pages_for_members(self, site: Site, browse: Browse, name: str, order: tuple[str, ...]) -> None:
        everybody = self.visitors(site, browse, order)
        for _ in range(2):
            for who, visitor in everybody.items():
                answer = visitor.get(f"/members/{name}/")
                if who == "stranger":
                    assert answer.status == 302
                else:
                    assert greeted(answer) == who

    def test_a_visitor_with_credentials_stores_nothing_for_others(
        self, cached: Site, browse: Browse, name: str
    ) -> None:
        known = {"Authorization": "Basic YWxpY2U6eA=="}
        answer = browse(cached).get(f"/page/{name}/", known)
        assert "detail=authorization" in answer.cache_status
        assert run(browse(cached).get(f"/page/{name}/")) == 2
        assert run(browse(cached).get(f"/page/{name}/", known)) == 3
        assert browse(cached).get(f"/page/{name}/").is_hit

    def test_csrf_tokens_are_each_visitors_own(self, site: Site, browse: Browse, name: str) -> None:
        visitors = [browse(site) for _ in range(3)]
        path = f"/form/{name}/"
        pages = [visitor.get(path) for visitor in visitors]
        assert len({visitor.cookies["csrftoken"] for visitor in visitors}) == 3
        assert len({page.csrf_token for page in pages}) == 3
        for number, (visitor, page) in enumerate(zip(visitors, pages, strict=True)):
            form = {"csrfmiddlewaretoken": page.csrf_token, "text": f"by visitor {number}"}
            assert visitor.post(path, form).status == 302
        stolen = {"csrfmiddlewaretoken": pages[0].csrf_token, "text": "with a stolen token"}
        assert visitors[1].post(path, stolen).status == 403

    def test_messages_reach_only_their_addressee(self, site: Site, browse: Browse, name: str) -> None:
        path = f"/notify/{name}/"
        writer, reader = browse(site), browse(site)
        assert "saved" not in reader.get(path).text
        answer = writer.submit(path, {"text": "a secret"})
        assert "a secret" not in reader.get(path).text
        assert "a secret" not in browse(site).get(path).text
        assert "saved a secret" in writer.follow(answer).text
        assert "a secret" not in reader.get(path).text


class TestLanguages:
    """A stored page in one language is not for those who read another."""

    WORDS = (("en", "Yes"), ("es", "Sí"))

    def test_accept_language(self, site: Site, browse: Browse, name: str) -> None:
        for _ in range(2):
            for code, word in self.WORDS:
                page = browse(site, language=code).get(f"/lang/{name}/")
                assert f"<p>{word}</p>" in page.text
                assert page.headers["Content-Language"] == code
        assert site.hits(name) == (2 if site.is_proxied else 4)

    @pytest.mark.parametrize("order", [pytest.param(o, id="-".join(o)) for o in itertools.permutations(("es", "en"))])
    def test_the_cookie_stands_above_accept_language(
        self, site: Site, browse: Browse, name: str, order: tuple[str, ...]
    ) -> None:
        words = dict(self.WORDS)
        switched = {code: browse(site, language="en") for code in order}
        for code, visitor in switched.items():
            visitor.cookies["django_language"] = code
        for _ in range(2):
            for code, visitor in switched.items():
                assert f"<p>{words[code]}</p>" in visitor.get(f"/lang/{name}/").text
            for code, word in self.WORDS:
                assert f"<p>{word}</p>" in browse(site, language=code).get(f"/lang/{name}/").text


class TestWriting:
    """What a POST does to stored pages (RFC 9111 §4.4)."""

    @pytest.mark.rfc(9111, "4.4")
    def test_a_post_invalidates_the_page_it_goes_to(self, cached: Site, browse: Browse, name: str) -> None:
        path = f"/note/{name}/"
        reader, writer = browse(cached), browse(cached)
        assert "last note: nothing" in reader.get(path).text
        assert reader.get(path).is_hit
        for text in ("one", "two"):
            assert writer.post(path, {"text": text}).status == 200
            page = reader.get(path)
            assert not page.is_hit
            assert f"last note: {text}" in page.text
            assert reader.get(path).is_hit
        assert cached.hits(name) == 3

    @pytest.mark.rfc(9111, "4.4")
    def test_a_post_that_fails_invalidates_nothing(self, cached: Site, browse: Browse, name: str) -> None:
        path = f"/note/{name}/"
        visitor = browse(cached)
        visitor.get(path)
        assert visitor.post(path, {"text": "one", "status": "400"}).status == 400
        assert visitor.get(path).is_hit

    @pytest.mark.rfc(9111, "4.4")
    def test_a_post_invalidates_every_variant(self, cached: Site, browse: Browse, name: str) -> None:
        path = f"/vary/{name}/"
        visitor = browse(cached)
        flavours = [{"X-Flavour": "salt"}, {"X-Flavour": "sweet"}, {}]
        for flavour in flavours:
            visitor.get(path, flavour)
        assert all(visitor.get(path, flavour).is_hit for flavour in flavours)
        token = visitor.get(f"/form/{name}form/").csrf_token
        assert visitor.post(path, {"csrfmiddlewaretoken": token}).status == 200
        visitor.cookies.clear()
        assert not any(visitor.get(path, flavour).is_hit for flavour in flavours)

    def test_a_post_is_never_answered_from_the_cache(self, site: Site, browse: Browse, name: str) -> None:
        path = f"/note/{name}/"
        visitor = browse(site)
        for number in range(3):
            answer = visitor.post(path, {"text": str(number)})
            assert answer.text == "noted"
            if site.is_proxied:
                assert "fwd=method" in answer.cache_status


@pytest.mark.parametrize(
    "break_off",
    [pytest.param(1, id="after-one-byte"), pytest.param(1 << 20, id="after-a-mebibyte")],
)
def test_a_visitor_who_leaves_in_the_middle_spoils_nothing(
    cached: Site, browse: Browse, name: str, django_files: Path, break_off: int
) -> None:
    path = f"/download/{name}/large.bin"
    leaving = HTTPConnection("127.0.0.1", cached.port, timeout=30)
    leaving.request("GET", path)
    response = leaving.getresponse()
    assert len(response.read(break_off)) == break_off
    response.close()
    leaving.close()
    assert hashlib.sha256(browse(cached).get(path).body).hexdigest() == digest(django_files / "large.bin")
