"""Which URLs weigh most, all workers together?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any

from proxy.exchange.counters import Counters
from proxy.exchange.heaviest import Heaviest

_MOST = 50
"""Of each list that a worker tells."""


@dataclass(frozen=True, slots=True)
class Url:
    """One URL of a list. What a client sent stands as it came, each byte as the character with its number."""

    url: str
    site: str
    route: str
    weight: float
    error: float
    """By so much the weight may be too high."""
    requests: float
    cache: str
    """What the cache did last."""
    detail: str
    """The reason with it, or nothing."""
    code: int

    def plain(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}


Lists = Mapping[str, Sequence[Url]]
"""``busiest`` by requests, ``costliest`` by the seconds that the origin took."""


def told(counters: Counters) -> Lists:
    """Return the lists of one worker."""
    return {"busiest": _told(counters.busiest), "costliest": _told(counters.costliest)}


def _told(heaviest: Heaviest) -> Sequence[Url]:
    return tuple(
        Url(
            one.url.decode("latin-1"),
            one.last.site,
            one.last.route,
            one.weight,
            one.error,
            one.requests,
            one.last.word,
            one.last.detail or "",
            one.last.status,
        )
        for one in heaviest.first()[:_MOST]
    )


def together(several: Iterable[Lists]) -> Lists:
    """Add up the lists of several workers."""
    found: dict[str, dict[str, Url]] = {}
    for lists in several:
        for name, urls in lists.items():
            by_url = found.setdefault(name, {})
            for one in urls:
                other = by_url.get(one.url)
                by_url[one.url] = one if other is None else _sum(one, other)
    return {
        name: tuple(sorted(by_url.values(), key=lambda one: (-one.weight, one.url))[:_MOST])
        for name, by_url in found.items()
    }


def _sum(one: Url, other: Url) -> Url:
    return replace(
        one,
        weight=one.weight + other.weight,
        error=one.error + other.error,
        requests=one.requests + other.requests,
    )


# On their way from a worker.


def rows(lists: Lists) -> dict[str, list[list[Any]]]:
    """Return what JSON can hold of them."""
    return {name: [list(astuple(one)) for one in urls] for name, urls in lists.items()}


def of_rows(found: object) -> Lists:
    """Read what ``rows`` made; ValueError for anything else."""
    if not isinstance(found, dict) or not all(isinstance(urls, list) for urls in found.values()):
        raise ValueError(f"not lists of URLs: {found!r}")
    return {name: tuple(map(_url, urls)) for name, urls in found.items()}


def _url(row: object) -> Url:
    match row:
        case [
            str(url),
            str(site),
            str(route),
            int() | float() as weight,
            int() | float() as error,
            int() | float() as requests,
            str(cache),
            str(detail),
            int(code),
        ]:
            return Url(url, site, route, weight, error, requests, cache, detail, code)
        case _:
            raise ValueError(f"not a URL of a list: {row!r}")
