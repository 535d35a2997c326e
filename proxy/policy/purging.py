"""Is a stored response still valid, after what operators have purged?

A purge is a rule with a number, and a stored response carries the number that was current when its fetch began. What a
rule with a larger number matches is gone, or stale where the purge was soft. No clock decides that: a purge is over at
once, however many responses it is about, and what was on its way from the origin meanwhile is purged with the others.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from re import Pattern
from re import compile as compiled

from msgspec.structs import replace

from proxy.config.units import Seconds, UnixTime
from proxy.policy.globs import any_of
from proxy.policy.key import PrimaryKey
from proxy.policy.stored import StoredResponse
from proxy.policy.tags import EVERY_TAG

MOST_RULES = 10_000
#: Each of them is tried on what is looked up, and takes about a third of a microsecond.
MOST_GLOBS = 200


class Kind(StrEnum):
    """What a rule names."""

    ALL = "all"
    HOST = "host"
    URL = "url"
    PATH = "path"
    """All of a path, whatever its query."""
    PREFIX = "prefix"
    """Of the path."""
    GLOB = "glob"
    """Of the path, where ``*`` stands for any text."""
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is purged."""

    kind: Kind
    what: bytes = b""
    """The target, path, pattern or tag."""
    host: bytes = b""
    """Empty: of every host."""


@dataclass(frozen=True, slots=True)
class Purge:
    """Several rules that hold from one moment on."""

    rules: tuple[Rule, ...]
    soft: bool = False
    """What they match is stale, and not gone."""
    at: UnixTime = UnixTime(0)
    """Since when it is stale."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What of a stored response rules are about."""

    host: bytes
    target: bytes
    """Normalised, and without what makes no difference of its query."""
    tags: Sequence[bytes] = ()

    @property
    def path(self) -> bytes:
        """Return the target without its query."""
        # A key for several queries goes on with a character that no target has.
        return self.target.partition(b"?")[0].partition(b"#")[0]


def subject_of(primary: PrimaryKey, tags: Sequence[bytes] = ()) -> Subject:
    """Return what rules are about of the resource with this key, whatever the scope, the scheme and the proxies."""
    rest: bytes = primary
    parts = []
    for _ in range(4):
        size, colon, rest = rest.partition(b":")
        if not colon or not size.isdigit():
            return Subject(b"", primary, tags)
        parts.append(rest[: int(size)])
        rest = rest[int(size) :]
    return Subject(parts[2], parts[3], tags)


@dataclass(frozen=True, slots=True)
class _Since:
    """From when on a rule holds."""

    number: int
    at: UnixTime


_NEVER = _Since(-1, UnixTime(0))


class _Rules:
    """Rules that are all hard, or all soft, each with the latest number that it has."""

    def __init__(self) -> None:
        self._since: dict[Rule, _Since] = {}
        self._lengths: Counter[int] = Counter()
        """Of the prefixes."""
        self._globs: dict[Rule, Pattern[str]] = {}

    def put(self, rule: Rule, since: _Since) -> None:
        if rule not in self._since:
            if rule.kind is Kind.PREFIX:
                self._lengths[len(rule.what)] += 1
            elif rule.kind is Kind.GLOB:
                self._globs[rule] = compiled(any_of([rule.what.decode("latin-1")]))
        self._since[rule] = since

    def drop(self, rule: Rule) -> None:
        del self._since[rule]
        self._globs.pop(rule, None)
        if rule.kind is Kind.PREFIX:
            self._lengths[len(rule.what)] -= 1
            if not self._lengths[len(rule.what)]:
                del self._lengths[len(rule.what)]

    def latest(self, about: Subject, after: int) -> _Since:
        """Return the latest that matches of those after this number."""
        found = [since for since in self._matching(about, after) if since.number > after]
        return max(found, key=lambda since: since.number, default=_NEVER)

    def _matching(self, about: Subject, after: int) -> Iterator[_Since]:
        since = self._since
        path = about.path
        for rule in _plain(about, path):
            if rule in since:
                yield since[rule]
        for length in self._lengths:
            if length <= len(path):
                for host in (b"", about.host):
                    rule = Rule(Kind.PREFIX, path[:length], host)
                    if rule in since:
                        yield since[rule]
        text = path.decode("latin-1")
        for rule, pattern in self._globs.items():
            if since[rule].number > after and rule.host in (b"", about.host) and pattern.match(text):
                yield since[rule]
        if EVERY_TAG in about.tags:
            yield from (one for rule, one in since.items() if rule.kind is Kind.TAG and rule.host in (b"", about.host))


def _plain(about: Subject, path: bytes) -> Iterator[Rule]:
    """Return the rules that match and can be looked up."""
    yield Rule(Kind.ALL)
    yield Rule(Kind.HOST, b"", about.host)
    yield Rule(Kind.URL, about.target, about.host)
    yield Rule(Kind.PATH, path, about.host)
    for tag in about.tags:
        yield Rule(Kind.TAG, tag)
        yield Rule(Kind.TAG, tag, about.host)


class PurgeLog:
    """What was purged of one cache."""

    def __init__(self, number: int = 0, most: int = MOST_RULES, most_globs: int = MOST_GLOBS) -> None:
        """What was stored under a smaller number than this is gone."""
        self.number = number
        """Of the latest purge."""
        self.floor = number
        """What has a smaller number is gone."""
        self._most = most
        self._most_globs = most_globs
        self._hard = _Rules()
        self._soft = _Rules()
        self._order: OrderedDict[tuple[bool, Rule], int] = OrderedDict()
        """The number of each, the oldest first."""
        self._globs: OrderedDict[tuple[bool, Rule], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._order)

    def add(self, purge: Purge, number: int | None = None) -> int:
        """Note a purge, under the next number unless it has one; return it."""
        self.number = number = self.number + 1 if number is None else max(number, self.number)
        for rule in purge.rules:
            if rule.kind is Kind.ALL and not purge.soft:
                self.raise_floor(number)
            else:
                self._note(rule, purge, number)
        while len(self._order) > self._most:
            self.raise_floor(next(iter(self._order.values())))
        while len(self._globs) > self._most_globs:
            self.raise_floor(self._order[next(iter(self._globs))])
        return number

    def _note(self, rule: Rule, purge: Purge, number: int) -> None:
        place = (purge.soft, rule)
        (self._soft if purge.soft else self._hard).put(rule, _Since(number, purge.at))
        self._order.pop(place, None)
        self._globs.pop(place, None)
        self._order[place] = number
        if rule.kind is Kind.GLOB:
            self._globs[place] = None

    def raise_floor(self, floor: int) -> None:
        """What has a smaller number is gone from now on, and no rule with that number or an older one is needed."""
        self.number = max(self.number, floor)
        self.floor = max(self.floor, floor)
        while self._order:
            place, number = next(iter(self._order.items()))
            if number > floor:
                return
            del self._order[place]
            self._globs.pop(place, None)
            soft, rule = place
            (self._soft if soft else self._hard).drop(rule)

    def judge(self, primary: PrimaryKey, stored: StoredResponse, now: UnixTime) -> StoredResponse | None:
        """Return a stored response as it is after all purges, None where it is gone.

        What has been found valid once is remembered in it, so that the next time one comparison tells.
        """
        if stored.number >= self.number:
            return stored
        judged = self._judged(primary, stored, now, stored.number)
        if judged is not None:
            judged.number = self.number
        return judged

    def judge_regardless(self, primary: PrimaryKey, stored: StoredResponse, now: UnixTime) -> StoredResponse | None:
        """Return the same, whichever number it was stored under."""
        return self._judged(primary, stored, now, 0)

    def _judged(self, primary: PrimaryKey, stored: StoredResponse, now: UnixTime, after: int) -> StoredResponse | None:
        if after < self.floor:
            return None
        about = subject_of(primary, stored.tags)
        if self._hard.latest(about, after).number > after:
            return None
        soft = self._soft.latest(about, after)
        return softened(stored, soft.at, now) if soft.number > after else stored


def softened(stored: StoredResponse, at: UnixTime, now: UnixTime) -> StoredResponse:
    """Return a response that is stale since a moment, which another machine's clock may have told."""
    terms = stored.terms
    lifetime = Seconds(max(0.0, min(at, now) - terms.born))
    if lifetime < terms.lifetime:
        terms = replace(terms, lifetime=lifetime)
    return StoredResponse(
        stored.status, stored.head, stored.body, terms, stored.extent, stored.tags, stored.number, purged=True
    )


def concerned(purge: Purge) -> Callable[[PrimaryKey], bool]:
    """Return what tells whether a purge may be about a resource of which no response is known yet."""
    rules = _Rules()
    for rule in purge.rules:
        rules.put(rule, _Since(0, purge.at))

    def concerns(primary: PrimaryKey) -> bool:
        return rules.latest(subject_of(primary, (EVERY_TAG,)), -1).number == 0

    return concerns
