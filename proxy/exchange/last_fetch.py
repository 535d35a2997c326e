"""What happened the last time that the origin was asked for a URL, and what became of its answer?"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b

from proxy.config.units import Bytes, UnixTime
from proxy.exchange.client import Nobody
from proxy.exchange.job import Fate, Job
from proxy.policy.cache_status import Outcome
from proxy.policy.facts import Facts, facts_of, shown_name
from proxy.policy.key import PrimaryKey
from proxy.policy.tags import tags_of

_REMEMBERED = 10_000
_LONGEST_KEY = 200
_MOST_TAGS = 20
#: Seconds in which a URL that is asked for again and again, and not stored, is noted once.
_MOMENT = 1.0


@dataclass(slots=True)
class LastFetch:
    """One request to the origin and its outcome, without anything that is for one client only."""

    at: UnixTime
    status: int | None
    """What the origin answered; None: nothing that could be used."""
    outcome: Outcome
    """What Cache-Status was written from."""
    facts: Facts
    tags: tuple[bytes, ...] = ()
    """By which its answer could be purged together with others."""
    background: bool = False
    """No client waited for it."""
    fate: Fate = field(default_factory=Fate)

    def tells(self, outcome: Outcome, at: UnixTime) -> bool:
        """Tell whether this is news enough for a fetch at this time: the same became of one a moment ago."""
        return at - self.at < _MOMENT and not outcome.stored and outcome == self.outcome


class LastFetches:
    """The last fetch of each of the URLs that were fetched last."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._fetches: OrderedDict[bytes, LastFetch] = OrderedDict()

    def __len__(self) -> int:
        return len(self._fetches)

    def find(self, method: bytes, primary: PrimaryKey) -> LastFetch | None:
        """Return the last fetch of a URL with this method."""
        return self._fetches.get(_key(method, primary))

    def note(self, job: Job) -> None:
        """Remember a fetch of which the head of the answer is known now, or that there is none."""
        exchange, outcome, response = job.exchange, job.became, job.response
        if outcome is None:
            return
        request, route = exchange.request, exchange.route
        key = _key(request.method, exchange.primary or route.key(request))
        former = self._fetches.get(key)
        if former is not None and former.tells(outcome, exchange.started):
            return
        if outcome.detail is None:
            # What was stored needs no reasons.
            facts = _plain(request.method, route.name, route.rules.stored_body)
        else:
            facts = facts_of(request, response, route.rules, route.name)
        fetch = LastFetch(
            exchange.started,
            None if response is None else response.status,
            outcome,
            facts,
            () if response is None else tags_of(response.fields)[:_MOST_TAGS],
            isinstance(exchange.client, Nobody),
            job.fate,
        )
        self._fetches[key] = fetch
        self._fetches.move_to_end(key)
        if len(self._fetches) > self._most:
            self._fetches.popitem(last=False)


@lru_cache(maxsize=64)
def _plain(method: bytes, route: str, limit: Bytes) -> Facts:
    return Facts(shown_name(method), route, limit=limit)


def _key(method: bytes, primary: PrimaryKey) -> bytes:
    # No method begins with a digit and a colon, as keys do.
    key = primary if method == b"GET" else b"%b %b" % (method, primary)
    # A target may be as long as a head.
    return key if len(key) <= _LONGEST_KEY else blake2b(key, digest_size=20).digest()
