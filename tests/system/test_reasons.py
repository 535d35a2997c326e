"""Is every reason said in one word: in Cache-Status, the access log, the metrics and the explanation?

Each is produced with real requests: a proxy as a process of its own, a client and an origin that the test plays.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from proxy.policy.decisions import Detail, ForwardReason
from tests.storage.servers import await_that
from tests.system.browser import TIMEOUT
from tests.system.fickle import FAILS, NONSENSE
from tests.system.processes import admin_port
from tests.system.scripted import Script, Wire, listening, request, response

FRESH = b"Cache-Control: max-age=60"
TAG = b'ETag: "a"'
PAGE = b"Content-Type: text/html"
OLD = b"Age: 100"
"""With it a response is stale as it comes."""
BODY = b"0123456789"
CLOSE = b"Connection: close"


def answer(*lines: bytes, status: bytes = b"200 OK", body: bytes | None = BODY) -> bytes:
    return response(*lines, CLOSE, status=status, body=body)


@dataclass
class Row:
    """Requests that have this reason: after what was stored, what is asked, and what does the origin say?"""

    lines: Sequence[bytes] = ()
    answer: bytes | None = None
    """None: the origin is not asked."""
    before: bytes | None = None
    stored: Sequence[bytes] = ()
    """Fields of the request that it was stored for."""
    method: bytes = b"GET"
    content: bytes = b""
    route: str = ""
    host: str = "site.test"
    flag: str = ""
    behind: bytes | None = None
    """What the origin says to a validation in the background."""
    silent: bool = False
    """The origin takes the request and says nothing."""
    purge: bool = False
    """What was stored is purged softly before."""


STALE = answer(FRESH, OLD, TAG)
FAILED = answer(status=b"500 Oh")
GARBAGE = b"garbage\r\n\r\n"

DETAILS: dict[Detail, Row] = {
    Detail.HOST_NOT_ALLOWED: Row(host="other.test"),
    Detail.ROUTE: Row(answer=answer(FRESH), route="bypassed"),
    Detail.UPGRADE: Row([b"Connection: upgrade", b"Upgrade: websocket"], answer(FRESH)),
    Detail.PRECONDITION: Row([b'If-Match: "a"'], answer(FRESH)),
    Detail.REQUEST_BODY: Row([b"Content-Length: 1"], answer(FRESH), content=b"x"),
    Detail.COOKIE: Row([b"Cookie: sid=1"], answer(PAGE)),
    Detail.AUTHORIZATION: Row([b"Authorization: Basic x"], answer(FRESH)),
    Detail.IDENTITY: Row([b"X-Api-Key: 1"], answer(FRESH)),
    Detail.HEALTH_CHECK: Row([b"User-Agent: kube-probe/1.31"], answer(PAGE)),
    Detail.REQUEST_NO_CACHE: Row([b"Cache-Control: no-cache"], answer(FRESH), answer(FRESH)),
    Detail.REQUEST_NO_STORE: Row([b"Cache-Control: no-store"], answer(FRESH)),
    Detail.REQUEST_MAX_AGE: Row([b"Cache-Control: max-age=5"], answer(FRESH, b"Age: 10"), answer(FRESH, b"Age: 10")),
    Detail.REQUEST_MIN_FRESH: Row([b"Cache-Control: min-fresh=99"], answer(FRESH), answer(FRESH)),
    Detail.ONLY_IF_CACHED: Row([b"Cache-Control: only-if-cached"]),
    Detail.NO_STORE: Row(answer=answer(b"Cache-Control: no-store")),
    Detail.PRIVATE: Row(answer=answer(b"Cache-Control: private")),
    Detail.STORAGE_FAILED: Row(answer=answer(FRESH), route="fickle", flag=FAILS),
    Detail.STORAGE_DAMAGED: Row(answer=answer(FRESH), route="fickle", flag=NONSENSE),
    Detail.EVENT_STREAM: Row(answer=answer(b"Content-Type: text/event-stream")),
    Detail.VARY_STAR: Row(answer=answer(b"Vary: *")),
    Detail.SET_COOKIE: Row(answer=answer(b"Set-Cookie: csrftoken=1")),
    Detail.UNTRUSTED_PROXY: Row(
        [b"X-Forwarded-Proto: https"],
        answer(FRESH, b"Location: https://site.test/plain/untrusted-proxy", status=b"301 Moved Permanently"),
    ),
    Detail.STATUS: Row(answer=answer(status=b"304 Not Modified", body=None)),
    Detail.PARTIAL_CONTENT: Row([b"Range: bytes=0-9"], answer(status=b"206 Partial Content")),
    Detail.NO_FRESHNESS: Row(answer=answer(status=b"404 Not Found")),
    Detail.NOT_REUSABLE: Row(answer=answer(b"Cache-Control: max-age=0")),
    Detail.TOO_LARGE: Row(answer=answer(FRESH, body=b"x" * 2000)),
    Detail.UNDELIMITED: Row(answer=answer(FRESH, body=None)),
    Detail.NO_CACHE: Row(
        answer=answer(TAG, status=b"304 Not Modified", body=None), before=answer(b"Cache-Control: no-cache", TAG)
    ),
    Detail.PURGED: Row(answer=answer(FRESH), before=answer(FRESH), purge=True),
    Detail.STALE_WHILE_REVALIDATE: Row(
        before=answer(b"Cache-Control: max-age=60, stale-while-revalidate=900", OLD),
        behind=answer(b"Cache-Control: max-age=60, stale-while-revalidate=900", OLD),
    ),
    Detail.STALE_IF_ERROR: Row(answer=FAILED, before=STALE),
    Detail.MAX_STALE: Row([b"Cache-Control: max-stale"], before=STALE),
    Detail.UPSTREAM_UNREACHABLE: Row(host="dead.test"),
    Detail.UPSTREAM_TIMEOUT: Row(host="slow.test", silent=True),
    Detail.UPSTREAM_CLOSED: Row(answer=b""),
    Detail.UPSTREAM_GARBAGE: Row(answer=GARBAGE),
}
#: Two have tests of their own below; ``fwd=method`` says the third already, so no detail says it again.
APART = {Detail.UPSTREAM_ERROR, Detail.REQUEST_BODY_LOST, Detail.METHOD}

FORWARDED: dict[ForwardReason, Row] = {
    ForwardReason.BYPASS: Row(answer=answer(FRESH), route="bypassed"),
    ForwardReason.METHOD: Row(answer=answer(), method=b"OPTIONS"),
    ForwardReason.URI_MISS: Row(answer=answer(FRESH)),
    ForwardReason.VARY_MISS: Row(
        [b"Accept: b"], answer(FRESH, b"Vary: Accept"), answer(FRESH, b"Vary: Accept"), [b"Accept: a"]
    ),
    ForwardReason.REQUEST: Row([b"Cache-Control: no-cache"], answer(FRESH), answer(FRESH)),
    ForwardReason.STALE: Row(answer=STALE, before=STALE),
    ForwardReason.PARTIAL: Row(
        [b"Range: bytes=5-9"],
        answer(FRESH, TAG, b"Content-Range: bytes 5-9/20", status=b"206 Partial Content", body=b"56789"),
        answer(FRESH, TAG, b"Content-Range: bytes 0-4/20", status=b"206 Partial Content", body=b"01234"),
        [b"Range: bytes=0-4"],
    ),
}
#: Words for what became of a request that Cache-Status has parameters for, and the log and the metrics one word.
OTHERS: dict[str, Row] = {
    "hit": Row(before=answer(FRESH)),
    "hit-stale": Row([b"Cache-Control: max-stale"], before=STALE),
    "refused": Row([b"Cache-Control: only-if-cached"]),
}


class House(Script):
    """A proxy whose log, metrics and explanations can be read."""

    def __init__(self, directory: Path, dead: int) -> None:
        listener = listening()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.directory = directory
        settings: dict[str, Any] = {
            "admin": "127.0.0.1:0",
            "access_log": "json",
            "ALLOWED_HOSTS": ["site.test", "slow.test", "dead.test"],
            "limits": {"stored_body": "1KiB"},
            "routes": [
                {"match": "/bypassed/*", "name": "bypassed", "bypass": True},
                {"match": "/fickle/*", "name": "fickle", "cache": "fickle"},
            ],
            "sites": {
                "slow": {"hosts": ["slow.test"], "upstream": {"url": url, "timeouts": {"first_byte": "200ms"}}},
                "dead": {"hosts": ["dead.test"], "upstream": f"http://127.0.0.1:{dead}"},
            },
            "CACHES": {
                "default": {"BACKEND": "locmem"},
                "fickle": {
                    "BACKEND": "tests.system.fickle.FickleCache",
                    "LOCATION": str(directory),
                    "DEADLINE": "30s",
                    "BREAKER_FAILURES": 1000,
                },
            },
        }
        super().__init__(directory, settings, listener)
        self._admin = HTTPConnection("127.0.0.1", admin_port(self.proxy), timeout=TIMEOUT)

    def hang_up(self) -> None:
        """End every connection."""
        self._admin.close()
        super().hang_up()

    def page(self, path: str) -> str:
        """Return a page of the admin listener."""
        self._admin.request("GET", path)
        return self._admin.getresponse().read().decode()

    def counted(self, name: str, label: str) -> float:
        """Return the sum of a metric's samples with this label."""
        lines = [line for line in self.page("/metrics").splitlines() if line.startswith(f"{name}{{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.search(rf"[{{,]{label}[,}}]", line))

    def logged(self, target: str) -> dict[str, Any]:
        """Return the log's line for the last request of a target, which comes a little later."""
        pattern = rf'"target":"{re.escape(target)}"'
        self.proxy.wait_for(pattern)
        line = [line for line in self.proxy.lines() if re.search(pattern, line)][-1]
        found: dict[str, Any] = json.loads(line)
        return found

    def explained(self, row: Row, target: str) -> dict[str, Any]:
        """Return the explanation of a row's request."""
        query = [("url", f"http://{row.host}{target}"), ("method", row.method.decode())]
        query += [("header", line.decode()) for line in row.lines]
        [told] = json.loads(self.page(f"/explain?{urlencode(query)}"))["workers"]
        found: dict[str, Any] = told
        return found

    def run(self, row: Row, target: str) -> bytes:
        """Do what the row says; return what the client got at last."""
        if row.before is not None:
            self._exchange(Row(row.stored, row.before, host=row.host), target)
        if row.purge:
            self._admin.request("POST", "/purge", json.dumps({"url": f"http://{row.host}{target}", "soft": True}))
            assert json.loads(self._admin.getresponse().read())["status"] == "ok"
        if row.flag:
            (self.directory / row.flag).touch()
        got = self._exchange(row, target)
        if row.behind is not None:
            self._say(row.behind, target)
        return got

    def _exchange(self, row: Row, target: str) -> bytes:
        head = request(row.method, target.encode(), CLOSE, *row.lines)
        if any(line.startswith(b"Connection:") for line in row.lines):
            head = head.replace(CLOSE + b"\r\n", b"")
        client = self.client(head.replace(b"site.test", row.host.encode()), row.content)
        if row.silent:
            self.accept(target.encode())
        if row.answer is not None:
            self._say(row.answer, target)
        return client.read_head()

    def _say(self, answered: bytes, target: str) -> Wire:
        origin = self.accept(target.encode())
        origin.send(answered)
        origin.end()
        return origin


@pytest.fixture(scope="module")
def house_of_the_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with socket.socket() as nobody:
        # Bound, and not listening: nobody else can answer there.
        nobody.bind(("127.0.0.1", 0))
        with House(tmp_path_factory.mktemp("house"), nobody.getsockname()[1]) as house:
            yield house


@pytest.fixture
def house(house_of_the_module: House) -> Iterator[House]:
    yield house_of_the_module
    for flag in (FAILS, NONSENSE):
        (house_of_the_module.directory / flag).unlink(missing_ok=True)
    house_of_the_module.hang_up()


def said(head: bytes) -> str:
    """Return what Cache-Status says of us."""
    found = re.search(rb"\r\nCache-Status: sitecache; ([^\r]*)\r\n", head)
    assert found is not None, head
    return found[1].decode()


def test_every_reason_has_its_requests() -> None:
    assert set(DETAILS) == set(Detail) - APART
    assert set(FORWARDED) == set(ForwardReason)


@pytest.mark.parametrize("detail", [pytest.param(detail, id=detail.value) for detail in DETAILS])
def test_a_detail_is_one_word_everywhere(house: House, detail: Detail) -> None:
    row, word = DETAILS[detail], detail.value
    target = f"/{row.route or 'plain'}/{word}"
    before = house.counted("sitecache_details_total", f'detail="{word}"')
    head = house.run(row, target)
    assert said(head).endswith(f"detail={word}")
    assert house.logged(target)["detail"] == word
    assert house.counted("sitecache_details_total", f'detail="{word}"') > before
    assert_explained(house, row, target, lambda told: told["detail"] == word)


@pytest.mark.parametrize("reason", [pytest.param(reason, id=reason.value) for reason in FORWARDED])
def test_a_reason_to_forward_is_one_word_everywhere(house: House, reason: ForwardReason) -> None:
    row, word = FORWARDED[reason], reason.value
    target = f"/{row.route or 'plain'}/fwd-{word}"
    before = house.counted("sitecache_requests_total", f'cache="{word}"')
    head = house.run(row, target)
    assert f"fwd={word}" in said(head).split("; ")
    assert house.logged(target)["cache"] == word
    assert house.counted("sitecache_requests_total", f'cache="{word}"') > before
    assert_explained(house, row, target, lambda told: told["cache"] == word and f"fwd={word}" in told["cache_status"])


@pytest.mark.parametrize("word", OTHERS)
def test_the_other_words_of_the_log_and_the_metrics(house: House, word: str) -> None:
    row, target = OTHERS[word], f"/plain/{word}"
    before = house.counted("sitecache_requests_total", f'cache="{word}"')
    house.run(row, target)
    await_that(lambda: house.logged(target)["cache"] == word)
    assert house.counted("sitecache_requests_total", f'cache="{word}"') > before
    assert_explained(house, row, target, lambda told: told["cache"] == word)


def assert_explained(house: House, row: Row, target: str, fits: Callable[[dict[str, Any]], bool]) -> None:
    """The word stands in what would be done now, or in what was done last; its remedy stands beside it."""

    def found() -> bool:
        told = house.explained(row, target)
        fitting = [one for one in (told["now"], told["last"]) if one is not None and fits(one)]
        return bool(fitting) and all(one["says"] and one["do"] for one in fitting)

    # What happens in the background takes its time.
    await_that(found)


def test_a_request_whose_body_is_lost(house: House) -> None:
    target = "/plain/lost"
    client = house.client(request(b"POST", target.encode(), b"Content-Length: 10"), b"01234")
    house.accept(target.encode())
    client.end()
    word = Detail.REQUEST_BODY_LOST.value
    assert house.logged(target)["detail"] == word
    assert house.counted("sitecache_details_total", f'detail="{word}"') == 1
    assert_explained(house, Row(method=b"POST"), target, lambda told: told["detail"] == word)


def test_an_error_that_others_had_something_stale_for(house: House) -> None:
    """Who waits for the same answer, and could not be told by the storage what is stored, gets the failure."""
    target = "/fickle/others"
    house.run(Row(answer=STALE), target)
    first = house.client(request(b"GET", target.encode()))
    origin = house.accept(target.encode())
    failures = house.counted("sitecache_storage_errors_total", 'alias="fickle"')
    (house.directory / FAILS).touch()
    second = house.client(request(b"GET", target.encode()))
    await_that(lambda: house.counted("sitecache_storage_errors_total", 'alias="fickle"') > failures)
    origin.send(FAILED)
    assert said(first.read_head()).endswith("detail=stale-if-error")
    word = Detail.UPSTREAM_ERROR.value
    assert said(second.read_head()).endswith(f"detail={word}")
    await_that(lambda: house.logged(target)["detail"] == word)
    assert house.counted("sitecache_details_total", f'detail="{word}"') == 1
    assert_explained(house, Row(), target, lambda told: told["detail"] == word)
