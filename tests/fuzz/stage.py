"""The drivers of a world with users, and an origin that keeps a record: the stage on which ``test_users`` plays.

Around each step an anonymous client looks what is stored for him: users may not end his hits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from proxy.config.model import CacheConfig
from proxy.config.units import UnixTime
from proxy.exchange.answer import Driver
from proxy.exchange.collapse import Flights
from proxy.exchange.counters import Counters
from proxy.exchange.fetch import Fetcher
from proxy.exchange.replies import Replies
from proxy.message.heads import Request
from proxy.policy.stored import StoredResponse
from proxy.sites import Parts, distinctions_of, sites_of
from proxy.storage.backends.limits import Limits
from proxy.storage.backends.shared import SharedMemoryCache
from proxy.storage.memory import PageMemory
from proxy.storage.remote import key_maker
from proxy.storage.responses import MemoryResponses, Responses
from proxy.storage.shared import SharedResponses
from tests.exchange.making import Client, Clock, request, settled
from tests.exchange.remotes import Counting, remote
from tests.fuzz.owners import Got, Visit, forbidden, is_shared, judge, judge_storage
from tests.fuzz.users import LONG_AGO, PIECE, SAME, USERS, Made, Origin, Said, body_of, config, fields_of, numbered

_MARK = re.compile(rb"mark-(\d{6})")
_TTL = re.compile(r"^hit(?:; ttl=(\d+))?$")
#: Under which what is stored in shared memory is kept apart from earlier sequences.
_PREFIXES = count()


class Shared:
    """Memory that is shared by several drivers, and by one sequence after the other."""

    def __init__(self, folder: str) -> None:
        self.clock = Clock()
        limits = Limits(max_entries=None, max_bytes=64 * 2**20)
        self.cache = SharedMemoryCache(str(Path(folder) / "cache"), self._now, limits)

    def _now(self) -> UnixTime:
        return self.clock()


class Stage:
    """The drivers of a world, whose origin keeps a record."""

    def __init__(self, world: str, kind: str, shared: Shared | None = None) -> None:
        self.world = world
        self.kind = kind
        self.clock = Clock()
        self.record = Origin(self.clock)
        self.visits = 0
        self.hits = 0
        self.written: dict[str, UnixTime] = {}
        """When somebody last wrote to a page: what was asked for in that moment is outdated."""
        self.memories: list[PageMemory] = []
        self.backends: list[Counting] = []
        self._prefix = f"{next(_PREFIXES)}"
        self._shared = shared
        if shared is not None:
            shared.clock = self.clock
        self._found: list[Responses] = []
        self.drivers = [self._driver() for _ in range(2 if kind == "shared" else 1)]

    def _driver(self) -> Driver:
        responses = self._responses()
        self._found.append(responses)
        sites = sites_of(Parts(config(self.world), lambda _: responses, lambda _: self.record))  # type: ignore[arg-type,return-value]
        counters, flights = Counters(lambda _: None), Flights()
        replies = Replies(counters, self.clock)
        return Driver(sites, Fetcher(sites, flights, replies, self.clock), flights, replies, counters, self.clock)

    def _responses(self) -> Responses:
        distinctions = distinctions_of(config(self.world))
        if self.kind == "remote":
            self.backends.append(Counting(self.clock))
            return remote(self.backends[-1]).told_apart_by(distinctions)
        if self._shared is not None:
            make_key = key_maker(CacheConfig("shared", KEY_PREFIX=self._prefix))
            return SharedResponses(self._shared.cache.store, make_key, distinctions, 128, self.clock)
        self.memories.append(PageMemory(self.clock, max_entries=None))
        return MemoryResponses(self.memories[-1], distinctions, 128)

    async def end(self) -> None:
        if self._shared is not None:
            for responses in self._found:
                await responses.finish()

    def kept(self) -> Iterator[bytes]:
        """Everything that lies in the storages, as bytes."""
        for backend in self.backends:
            yield from (held for held, _, _ in backend._slots.values() if isinstance(held, bytes))
        for memory in self.memories:
            responses = (kept.value for kept in memory.kept.values() if isinstance(kept.value, StoredResponse))
            yield from (response.head + response.body for response in responses)

    async def step(self, crowd: Sequence[Mapping[str, Any]], waiting: float) -> None:
        """Have a crowd come at once, and see what it gets when nobody waits any more."""
        places = {(one["target"], one["language"]) for one in crowd}
        before = {place: await self.probe(*place) for place in sorted(places)}
        first, started = len(self.record.made), self.clock()
        self.record.is_open = False
        clients = [self.begin(**one) for one in crowd]
        await settled()
        elapsed = waiting if self.record.keeps_waiting else 0
        self.clock.turn(elapsed)
        while self.record.release():
            await settled()
        for visit, client in clients:
            self.judge(visit, client)
        judge_storage(self.world, [self.record.made[serial] for serial in self._stored()])
        new = self.record.made[first:]
        self.written |= {one["target"]: self.clock() for one in crowd if one["extra"] == "POST"}
        if all(self.is_of_no_account(made) for made in new):
            for place, (ttl, marks) in before.items():
                await self.expect(place, ttl - elapsed, marks)
        is_new = all(self.written.get(one["target"], 0) < started for one in crowd)
        if len(crowd) == len(new) == 1 and is_new and self.is_to_be_kept(new[0], elapsed):
            target, language = new[0].asked.target, new[0].asked.fields["accept-language"]
            ttl, marks = await self.probe(target, language)
            assert ttl >= 0, f"not stored, and everybody may have it: {new[0]}"
            assert marks == [first]

    def _stored(self) -> set[int]:
        return {int(found) for held in self.kept() for found in _MARK.findall(held)}

    def is_of_no_account(self, made: Made) -> bool:
        """Tell whether a response may change nothing for who is nobody."""
        known = made.asked.identity(self.world)
        is_read = made.asked.method in ("GET", "HEAD")
        # What varies by something else changes what is stored beside it.
        return bool(known) and is_read and not is_shared(self.world, made) and made.said.vary is None

    def is_to_be_kept(self, made: Made, elapsed: float) -> bool:
        """Tell whether the next anonymous client has to get this from the cache."""
        asked, said = made.asked, made.said
        extra = {"range", "if-range", "if-none-match", "if-modified-since", "cache-control"} & asked.fields.keys()
        # What is odd may be kept, and need not be.
        extra |= {"odd"} if said.is_odd or said.no or said.set_cookie else set()
        # A stale page may stand in for an error.
        is_plain = (
            asked.method == "GET"
            and said.status < 500
            and not extra
            and not made.unchanged
            and not forbidden(self.world, made)
        )
        is_stated = (said.stated or 0) > elapsed or (
            said.stated is None and said.status == 200 and self.world != "letter"
        )
        if self.world in ("default", "routed") and said.stated is None and said.kind != "text/html":
            return False
        # config/rfc9111.yaml knows no key, but what varies by one is not for the next.
        is_anonymous = not asked.identity(self.world) and "x-api-key" not in asked.fields
        return is_plain and is_anonymous and is_stated and "no-cache" not in said.words

    async def expect(self, place: tuple[str, str], ttl: float, marks: Sequence[int]) -> None:
        """What was a hit for everybody is one still."""
        if ttl > 0:
            found, now = await self.probe(*place)
            assert found >= 0, f"a user ended the hits of others: {self.record.made[-1]}"
            assert now == marks, f"a user changed what others get: {self.record.made[-1]}"

    async def probe(self, target: str, language: str) -> tuple[float, list[int]]:
        """Look what is stored for anybody: how long it is fresh still, or -1, and by which responses."""
        self.record.probes.add(self.visits + 1)
        visit, client = self.begin("anonymous", target, language, wish="only-if-cached")
        if not client.is_whole:
            await settled()
        self.judge(visit, client)
        hit = _TTL.match(client.cache_status)
        ttl = float(hit[1] or 0) if hit else -1
        self.hits += ttl >= 0
        return ttl, marks_of(client)

    def begin(
        self, user: str, target: str, language: str, extra: str = "", wish: str = "", driver: int = 0
    ) -> tuple[Visit, Client]:
        self.visits += 1
        lines = [*USERS[user], f"accept-language: {language}", f"x-visit: {self.visits}", *EXTRAS[extra]]
        lines += [f"cache-control: {wish}"] if wish else []
        method = extra if extra in ("HEAD", "POST") else "GET"
        visit = Visit(self.visits, fields_of(tuple(lines)), target, method, wish)
        client = Client()
        self.drivers[driver % len(self.drivers)].handle(self.request(target, *lines, method=method), client)
        return visit, client

    def request(self, target: str, *lines: str, method: str) -> Request:
        return request(target, "host: site.test", *lines, method=method)

    def judge(self, visit: Visit, client: Client) -> None:
        assert client.is_whole, "somebody waits for ever"
        marks = marks_of(client)
        judge(
            self.world,
            visit,
            Got(client.status, marks, numbered(client.fields, b"x-vary"), self.merged(client)),
            self.record.made,
        )
        if client.status == 200 and visit.method == "GET" and marks:
            assert len(client.content) == len(body_of(0)), "not whole"

    def merged(self, client: Client) -> Said | None:
        """Return what the response says that the client got, by the responses that each field came with."""
        names = [(b"x-cc", "words"), (b"x-ex", "expires"), (b"x-vary", "vary"), (b"x-no", "no")]
        if b"x-mark" not in client.fields:
            return None
        # A client that has the page is not told again what it is.
        whole = [self.record.made[serial] for serial in marks_of(client) if not self.record.made[serial].unchanged]
        said = Said(kind=whole[0].said.kind if whole else "text/html")
        for name, what in names:
            serial = numbered(client.fields, name)
            if serial is not None:
                of = self.record.made[serial].said
                said = replace(said, **{what: getattr(of, what)})
                if name == b"x-cc":
                    said = replace(said, max_age=of.max_age, s_maxage=of.s_maxage, between=of.between)
        return said


EXTRAS: Mapping[str, tuple[str, ...]] = {
    "": (),
    "HEAD": (),
    "POST": (),
    "range": (f"range: bytes={PIECE}-{2 * PIECE - 1}",),
    "end": (f"range: bytes={2 * PIECE}-",),
    "if-range": (f"range: bytes=0-{PIECE - 1}", f"if-range: {SAME}"),
    # A validator that the client has from its own copy, and that everybody's has.
    "tag": (f"if-none-match: {SAME}",),
    "date": (f"if-modified-since: {LONG_AGO}",),
}


def marks_of(client: Client) -> list[int]:
    return sorted({int(found) for found in _MARK.findall(client.head + client.content)})
