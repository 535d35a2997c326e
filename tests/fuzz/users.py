"""Users of four kinds, worlds, and an origin whose validators are equal for all of them: the stage of ``test_users``.

As WordPress does for its feed, the origin gives one ETag and one Last-Modified to everybody, and answers 304 to whoever
sends either. Each of its answers, a 304 too, bears a mark of its own in head and body, and is written down with the
identity that the origin saw.
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
UPSTREAM = {"upstream": "http://site.test:80"}
WORLDS: Mapping[str, Mapping[str, Any]] = {
    "default": UPSTREAM,
    "letter": yaml.safe_load(LETTER.read_text()) | UPSTREAM,
    "django": UPSTREAM | {"CACHE_MIDDLEWARE_SECONDS": 600},
    "routed": UPSTREAM
    | {
        "cookies": {"preset": ["django"]},
        "routes": [
            {"match": "/paged", "cache_page": 15},
            {"match": "/session", "vary_on": ["cookie:sessionid"]},
            {"match": "/keyed", "vary_on": ["X-Api-Key"]},
            {"match": "/declared", "cache_control": {"public": True}},
            {"match": "/refreshed", "stale_while_revalidate": 30},
            {"match": "/cookies", "set_cookie": "explicit"},
            {"match": "/bypass", "bypass": True},
        ],
    },
}
PATHS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("default", "letter", "django"), ("/a", "/b")),
    "routed": ("/a", "/paged", "/session", "/keyed", "/declared", "/refreshed", "/cookies", "/bypass"),
}

USERS: Mapping[str, tuple[str, ...]] = {
    "anonymous": (),
    "tracked": ("cookie: _ga=1",),
    "alice": ("cookie: sessionid=alice",),
    "bob": ("cookie: _ga=2; sessionid=bob",),
    "carol": ("authorization: Basic Y2Fyb2w=",),
    "carl": ("authorization: Bearer carl",),
    "dave": ("x-api-key: dave",),
    "dora": ("x-api-key: dora",),
    "erin": ("remote-user: erin",),
    "fay": ("cf-access-jwt-assertion: fay",),
    "gina": ("x-auth-token: gina",),
    # Two ways at once, each of which is somebody else's too.
    "alice-and-carol": ("cookie: sessionid=alice", "authorization: Basic Y2Fyb2w="),
    "alice-and-dave": ("cookie: sessionid=alice", "x-api-key: dave"),
}
CREDENTIALS = frozenset({"authorization", "x-api-key", "remote-user", "cf-access-jwt-assertion", "x-auth-token"})

ASKED = CREDENTIALS | {"cookie", "cache-control", "if-none-match", "if-modified-since", "range", "if-range"}
SAID = {"content-type", "cache-control", "expires", "vary", "set-cookie", "etag", "last-modified"}
"""What reports tell."""

Identity = Mapping[str, str]
"""What a request is known by: the fields that say it."""


def identity_of(world: str, fields: Mapping[str, str]) -> Identity:
    """Return what says in these fields who asks: every cookie but those of analytics, and every credential."""
    # config/rfc9111.yaml goes by the RFC: Authorization carries credentials, and each cookie counts.
    credentials = {"authorization"} if world == "letter" else CREDENTIALS
    known = {name: value for name, value in fields.items() if name in credentials}
    pairs = [pair.strip() for pair in fields.get("cookie", "").split(";")]
    cookies = [pair for pair in pairs if pair and (world == "letter" or not pair.startswith("_ga="))]
    return known | {"cookie": "; ".join(cookies)} if cookies else known


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
    words: frozenset[str] = frozenset()
    while_revalidate: int = 0
    vary: str | None = None
    tag: str = ""
    """``equal`` for all, or ``own``."""
    dated: bool = False
    """With a Last-Modified, which is equal for all."""
    set_cookie: bool = False
    status: int = 200
    kind: str = "text/html"
    between: str = ", "
    """What stands between the directives. Where that is no comma, they permit nothing, and forbid all the same."""
    no: str = ""
    """Another field by which applications say that a page is not to be kept."""

    @property
    def directives(self) -> list[str]:
        numbers = {"max-age": self.max_age, "s-maxage": self.s_maxage}
        directives = [f"{name}={number}" for name, number in numbers.items() if number is not None]
        directives += [f"stale-while-revalidate={self.while_revalidate}"] if self.while_revalidate else []
        return directives + sorted(self.words)

    @property
    def is_odd(self) -> bool:
        """Its Cache-Control is not what RFC 9111 §5.2 defines."""
        return self.between not in (", ", ",", " , ") and len(self.directives) > 1

    @property
    def stated(self) -> int | None:
        """The lifetime that the origin itself gives, in a shared cache (RFC 9111 §4.2.1)."""
        if self.is_odd:
            # What is not right in Cache-Control states nothing; Expires does where nothing there goes before it.
            return self.expires if self.max_age is None and self.s_maxage is None else None
        return next((n for n in (self.s_maxage, self.max_age, self.expires) if n is not None), None)

    def lines(self, serial: int, now: float) -> list[str]:
        """Return the fields of the response as it is sent at this time.

        ``x-cc``, ``x-ex`` and ``x-vary`` tell which response the fields beside them came with, whatever is merged.
        """
        lines = [f"x-mark: {mark(serial)}", f"date: {date(now)}", f"content-type: {self.kind}"]
        if self.directives:
            lines += [f"cache-control: {self.between.join(self.directives)}", f"x-cc: {serial}"]
        lines += [self.no, f"x-no: {serial}"] if self.no else []
        lines += [] if self.expires is None else [f"expires: {date(now + self.expires)}", f"x-ex: {serial}"]
        lines += [] if self.vary is None else [f"vary: {self.vary}", f"x-vary: {serial}"]
        lines += [f"set-cookie: t={mark(serial)}"] if self.set_cookie else []
        lines += {"": [], "equal": [f"etag: {SAME}"], "own": [f'etag: "{mark(serial)}"']}[self.tag]
        return lines + ([f"last-modified: {LONG_AGO}"] if self.dated else [])


SAME = '"same"'
LONG_AGO = "Sun, 06 Nov 1994 08:49:37 GMT"


def date(when: float) -> str:
    return format_date(when).decode()


def mark(serial: int) -> str:
    return f"mark-{serial:06d}"


PIECE = len(mark(0)) + 1
PIECES = 3


def body_of(serial: int) -> bytes:
    """Return a body of the same length as all others, whose every piece bears its mark."""
    return f"{mark(serial)};".encode() * PIECES


@dataclass(frozen=True)
class Asked:
    """One request as it reached the origin."""

    visit: int
    target: str
    method: str
    fields: Mapping[str, str]

    def identity(self, world: str) -> Identity:
        return identity_of(world, self.fields)


@dataclass(frozen=True)
class Made:
    """One response, and for whom it was made."""

    said: Said
    asked: Asked
    unchanged: bool = False
    """It is a 304."""

    def __str__(self) -> str:
        who = {name: value for name, value in self.asked.fields.items() if name in ASKED}
        said = {name: value for name, value in fields_of(tuple(self.said.lines(0, 0))).items() if name in SAID}
        status = 304 if self.unchanged else self.said.status
        return f"[{self.asked.visit}: {self.asked.method} {self.asked.target} {who} -> {status} {said}]"


@dataclass(frozen=True)
class Plan:
    """How the origin answers next."""

    said: Said
    holds: bool = False
    """It answers 304 to whoever sends a validator that it gives."""
    fails: bool = False
    waits: bool = False
    """Until it is released."""
    ranges: bool = True


@dataclass
class Origin(Reached):
    """An origin that follows plans and keeps a record."""

    now: Clock
    plan: Plan = field(default_factory=lambda: Plan(Said()))
    made: list[Made] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    probes: set[int] = field(default_factory=set)
    """Visits that may change nothing: what is refreshed for them fails."""
    is_open: bool = False
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def is_at_hand(self) -> bool:  # type: ignore[override]
        """Every other time, so that both ways of asking are gone."""
        return len(self.asked) % 2 == 0

    @property
    def keeps_waiting(self) -> bool:
        return bool(self._waiting)

    def release(self) -> bool:
        """Let go of those who wait, and of all who come before the next step; False where nobody waits."""
        waiting, self._waiting = self._waiting, []
        self.is_open = True
        for one in waiting:
            one.set_result(None)
        return bool(waiting)

    async def send(self, ask: Ask) -> Answer:
        plan, asked = self.plan, _asked(ask.head)
        self.asked.append(asked)
        if asked.visit in self.probes:
            raise UpstreamTimeout("a probe changes nothing")
        if plan.waits and not self.is_open:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting
        if plan.fails:
            raise UpstreamTimeout("as planned")
        serial, is_read = len(self.made), asked.method in ("GET", "HEAD")
        unchanged = is_read and plan.holds and plan.said.status == 200 and self._matches(plan.said, asked)
        self.made.append(Made(plan.said, asked, unchanged))
        lines = plan.said.lines(serial, self.now())
        if unchanged:
            # RFC 9110 §15.4.5: without what tells of the representation, which is the client's.
            return whole(*[line for line in lines if not line.startswith("content-type:")], status=304).answer
        return _answer(plan, asked, lines, body_of(serial))

    def _matches(self, said: Said, asked: Asked) -> bool:
        """Compare validators, and nothing else: not who asks."""
        tags = asked.fields.get("if-none-match")
        if tags is None:
            return said.dated and "if-modified-since" in asked.fields
        return said.tag == "equal" and SAME in tags


def _asked(head: bytes) -> Asked:
    method, target = (part.decode() for part in head.split(b" ", 2)[:2])
    fields = {name.decode().lower(): value.decode("latin-1") for name, value in _head_fields(head).raw}
    return Asked(int(fields.get("x-visit", "-1")), target, method, fields)


def _answer(plan: Plan, asked: Asked, lines: list[str], body: bytes) -> Answer:
    if asked.method == "HEAD":
        return Answer(coming(*lines, framing=Length(len(body))).answer.response, whole(status=204).body, NO_BODY)
    wanted, condition = asked.fields.get("range"), asked.fields.get("if-range", SAME)
    is_same = condition == SAME if plan.said.tag == "equal" else "if-range" not in asked.fields
    if wanted is None or "," in wanted or not plan.ranges or not is_same or plan.said.status != 200:
        return whole(*lines, status=plan.said.status, body=body).answer
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    start, end = int(first), min(int(last or len(body)), len(body) - 1)
    lines = [*lines, f"content-range: bytes {start}-{end}/{len(body)}"]
    return whole(*lines, status=206, body=body[start : end + 1]).answer


def fields_of(lines: tuple[str, ...]) -> Mapping[str, str]:
    """Return field lines by their names."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def numbered(fields: Fields, name: bytes) -> int | None:
    """Return the number of the response that a field came with."""
    value = fields.get(name)
    return None if value is None else int(value)
