"""Which worlds do the sequences of ``test_worlds`` run in: their settings, their clients, and an origin with a record?

The origin writes down what it made, when, and for which visit. Who asks is told by a field that every client sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from proxy.config.load import load
from proxy.config.model import Config
from proxy.errors import UpstreamTimeout
from proxy.message.fields import Fields
from proxy.message.framing import NO_BODY, Length
from proxy.message.grammar import format_date
from proxy.upstream.connection import Answer, Ask
from tests.exchange.making import Clock, Reached, _head_fields, coming, whole

LETTER = Path(__file__).parents[2] / "config" / "rfc9111.yaml"
# Most responses there have no Content-Type: with a lifetime that is set, that makes no difference.
UPSTREAM = {"upstream": "http://one.test:80", "ALLOWED_HOSTS": ["*"], "CACHE_MIDDLEWARE_SECONDS": 600}
WORLDS: Mapping[str, Mapping[str, Any]] = {
    "plain": UPSTREAM,
    "letter": UPSTREAM | yaml.safe_load(LETTER.read_text()) | {"upstream": "http://one.test:80"},
    "routed": UPSTREAM
    | {
        "routes": [
            {"match": "/paged*", "cache_page": 15},
            {"match": "/special*", "cache": "special", "set_cookie": "explicit"},
            {"match": "/bypass*", "bypass": True},
        ],
        "sites": {"two": {"hosts": ["two.test"]}},
        "CACHES": {"default": {"BACKEND": "locmem"}, "special": {"BACKEND": "locmem", "LOCATION": "special"}},
        "USE_I18N": True,
        "LANGUAGES": ["en", "de"],
        "LANGUAGE_CODE": "en",
    },
    # Clients have no say, and neither has what trackers add to URLs.
    "queries": UPSTREAM
    | {
        "client_cache_control": "ignore",
        "query": {"ignore": ["u*"], "sort": True},
        "routes": [{"match": "/kept", "query": {"keep": ["x"]}}],
    },
    "search": UPSTREAM | {"no_vary_search": True},
}
HOSTS = ("one.test", "two.test")
_PATHS = ("/a", "/b", "/paged", "/special", "/bypass")
_QUERIES = ("/a", "/a?u=1;x=2", "/a?u=1", "/a?x=1&u=2", "/a?u=1&x=1", "/a?x=1", "/a?%78=1", "/a?y=2&x=1", "/a?x=1&y=2")
TARGETS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("plain", "letter", "routed"), _PATHS),
    "queries": (*_QUERIES, "/a?x=2", "/kept?x=1&y=1", "/kept?y=2&x=1", "/kept?x=2"),
    "search": (*_QUERIES, "/a?x=2", "/a?u=1&x=2"),
}
"""Neighbours are the same in some worlds, and not in others."""
MOST_TARGETS = max(map(len, TARGETS.values()))

USERS = {
    "anonymous": [],
    "alice": ["cookie: s=alice"],
    "bob": ["cookie: s=bob"],
    "carol": ["authorization: Basic Y2Fyb2w="],
}

Place = tuple[str, str]
"""A host with a target, or with the name of a group."""


@cache
def config(world: str) -> Config:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "site.yaml"
        file.write_text(yaml.safe_dump(dict(WORLDS[world])))
        return load(file, {}, {}).config


@dataclass(frozen=True)
class Said:
    """What the origin says about a response."""

    max_age: int | None = None
    s_maxage: int | None = None
    expires: int | None = None
    targeted: str | None = None
    word: str = ""
    while_revalidate: int = 0
    modified: int | None = None
    """Seconds since it last changed."""
    vary: str | None = None
    set_cookie: bool = False
    etag: bool = True
    status: int = 200
    group: bool = False
    same: bool = False
    """An answer to POST that says it is what GET would get."""
    age: int = 0
    """By the Age field."""
    dated: int = 0
    """How long ago it was made, by the Date field."""
    search: str | None = None
    """Its No-Vary-Search."""

    @property
    def words(self) -> set[str]:
        """The directives that count (RFC 9213 §2.2)."""
        if self.targeted is not None:
            return {self.targeted} - {"max-age=40"}
        return {self.word, "" if self.s_maxage is None else "s-maxage"} - {""}

    @property
    def explicit(self) -> int | None:
        if self.targeted is not None:
            return 40 if self.targeted == "max-age=40" else None
        numbers = (self.s_maxage, self.max_age, self.expires)
        return next((number for number in numbers if number is not None), None)

    def lines(self, serial: int, sent: float) -> list[str]:
        """Return the fields of the response as it is sent at this time."""
        made = sent - self.dated
        numbers = {"max-age": self.max_age, "s-maxage": self.s_maxage}
        directives = [f"{name}={number}" for name, number in numbers.items() if number is not None]
        directives += [f"stale-while-revalidate={self.while_revalidate}"] if self.while_revalidate else []
        directives += [self.word] if self.word else []
        lines = [f"x-serial: {serial}", f"x-mark: {mark(serial)}", f"date: {date(made)}"]
        lines += [f"age: {self.age}"] if self.age else []
        lines += [f"cache-control: {', '.join(directives)}"] if directives else []
        lines += [f"cdn-cache-control: {self.targeted}"] if self.targeted else []
        lines += [f"expires: {date(made + self.expires)}"] if self.expires is not None else []
        lines += [f"last-modified: {date(made - self.modified)}"] if self.modified is not None else []
        lines += [f"vary: {self.vary}"] if self.vary else []
        lines += [f"no-vary-search: {self.search}"] if self.search else []
        lines += [f'etag: "{serial}"'] if self.etag else []
        return lines + (['cache-groups: "g"'] if self.group else [])


def date(when: float) -> str:
    return format_date(when).decode()


def mark(serial: int) -> str:
    return f"mark-{serial:06d}"


def body_of(serial: int) -> bytes:
    """Return a body that no other response has, of a length of its own."""
    return mark(serial).encode() + b"." * (serial % 7)


@dataclass(frozen=True)
class Asked:
    """One request as it reached the origin, and when in the order of things."""

    visit: int
    host: str
    target: str
    method: str
    user: str
    language: str
    wish: str
    event: int


@dataclass
class Made:
    """One response, and for whom it was made."""

    said: Said
    asked: Asked
    sent: float
    event: int
    """When it was last sent, or said to hold; as is the next, of the request for that."""
    asked_event: int


@dataclass(frozen=True)
class Plan:
    """How the origin answers next."""

    said: Said
    holds: bool = False
    """It still has what it is asked about."""
    fails: bool = False
    ranges: bool = True
    waits: bool = False
    """Until it is released."""


@dataclass
class Origin(Reached):
    """An origin that follows plans and keeps a record."""

    now: Clock
    plan: Plan = field(default_factory=lambda: Plan(Said()))
    made: list[Made] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    events: int = 0
    failed: int = -1
    dead: dict[Place, int] = field(default_factory=dict)
    """When a URL or a group was last made invalid."""
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)
    is_open: bool = False

    @property
    def is_at_hand(self) -> bool:  # type: ignore[override]
        """Every other time, so that both ways of asking are gone."""
        return self.events % 2 == 0

    def release(self) -> bool:
        """Let go of those who wait, and of all who come before the next step; False where nobody waits."""
        waiting, self._waiting = self._waiting, []
        self.is_open = True
        for one in waiting:
            one.set_result(None)
        return bool(waiting)

    async def send(self, ask: Ask) -> Answer:
        fields = _head_fields(ask.head)
        asked = self._note(ask.head, fields)
        plan = self.plan
        if plan.waits and not self.is_open and asked.method != "POST":
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting
        self.events += 1
        if plan.fails:
            self.failed = self.events
            raise UpstreamTimeout("as planned")
        if asked.method == "POST":
            return self._written(asked)
        held = self._held(asked, fields.get(b"if-none-match") or fields.get(b"if-range") or b"")
        if held is not None:
            return self._again(held, asked, fields)
        if plan.said.status >= 500:
            self.failed = self.events
        self.made.append(Made(plan.said, asked, self.now(), self.events, asked.event))
        return self._answer(len(self.made) - 1, asked, Fields([]) if b"if-range" in fields else fields)

    def _note(self, head: bytes, fields: Fields) -> Asked:
        self.events += 1
        method, target = (part.decode() for part in head.split(b" ", 2)[:2])
        names = (b"host", b"accept-language", b"cache-control", b"pragma")
        host, language, wish, pragma = ((fields.get(name) or b"").decode() for name in names)
        visit, user = int(fields.get(b"x-visit") or b"-1"), user_of(fields)
        self.asked.append(Asked(visit, host, target, method, user, language, wish or pragma, self.events))
        return self.asked[-1]

    def _held(self, asked: Asked, condition: bytes) -> int | None:
        """Return the latest response with one of these tags, if it still holds for whoever asks."""
        if not self.plan.holds:
            return None
        for serial in range(len(self.made) - 1, -1, -1):
            made = self.made[serial].asked
            alike = (made.host, made.user, made.language) == (asked.host, asked.user, asked.language)
            alike = alike and made.target == asked.target
            if f'"{serial}"'.encode() in condition and alike and self.made[serial].said.status == 200:
                return serial
        return None

    def _again(self, serial: int, asked: Asked, fields: Fields) -> Answer:
        """Say that what somebody has still holds."""
        made = self.made[serial]
        if fields.get(b"if-none-match") is None:
            return self._answer(serial, asked, fields)
        made.event, made.asked_event, made.sent = self.events, asked.event, self.now()
        cookie = [f"set-cookie: s={asked.visit}"] if self.plan.said.set_cookie else []
        # RFC 9111 §3.2: it tells of no body.
        return whole(*made.said.lines(serial, made.sent), *cookie, "content-length: 999", status=304).answer

    def _written(self, asked: Asked) -> Answer:
        said = self.plan.said
        serial = len(self.made)
        self.made.append(Made(said, asked, self.now(), self.events, asked.event))
        lines = [*said.lines(serial, self.now()), *_cookies(said, asked)]
        if 200 <= said.status < 400:
            self.dead[asked.host, asked.target] = self.events
            if said.group:
                self.dead[asked.host, "g"] = self.events
                lines += ['cache-group-invalidation: "g"']
        lines += [f"content-location: {asked.target}"] if said.same else []
        return whole(*lines, status=said.status, body=body_of(serial)).answer

    def _answer(self, serial: int, asked: Asked, fields: Fields) -> Answer:
        made, body = self.made[serial], body_of(serial)
        lines = [*made.said.lines(serial, made.sent), *_cookies(made.said, made.asked)]
        if asked.method == "HEAD":
            return Answer(coming(*lines, framing=Length(len(body))).answer.response, whole(status=204).body, NO_BODY)
        value = fields.get(b"range")
        if value is None or b"," in value or not self.plan.ranges or made.said.status != 200:
            return whole(*lines, status=made.said.status, body=body).answer
        first, _, last = value.removeprefix(b"bytes=").decode().partition("-")
        start, end = int(first), min(int(last or len(body)), len(body) - 1)
        lines += [f"content-range: bytes {start}-{end}/{len(body)}"]
        return whole(*lines, status=206, body=body[start : end + 1]).answer


def _cookies(said: Said, asked: Asked) -> list[str]:
    return [f"set-cookie: s={asked.visit}"] if said.set_cookie else []


def user_of(fields: Fields) -> str:
    cookie = fields.get(b"cookie") or b""
    if b"authorization" in fields:
        return "carol"
    return next((name for name in ("alice", "bob") if name.encode() in cookie), "anonymous")
