"""How do the numbers of a running proxy look on one screen?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from proxy.commands.rates import Span, Values, bytes_of, number, percent, quantile, ratio, since_start, took

_SERVED = frozenset({"hit", "hit-stale"})
_ELSE = 20
"""Lines for everything but the two lists."""
_FEWEST = 3
_UNITS = (("d", 86400), ("h", 3600), ("min", 60))
#: A terminal obeys some characters that are not plain ones, and clients choose what is shown here.
_ODD = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a screen shows."""

    address: str
    stats: Values
    lately: Span | None
    """The last minute, or less; None before there are two answers."""
    wrong: str = ""
    """Why there is no newer answer."""


def screen(seen: Seen, height: int) -> RenderableType:
    """Return what fits on a screen of so many lines."""
    stats = seen.stats
    reasons = _reasons(stats)
    each = max(_FEWEST, (height - _ELSE - len(stats["caches"]) - len(stats["upstreams"])) // 2)
    parts: list[RenderableType] = [
        _heading(seen),
        _numbers(stats, seen.lately),
        Text(),
        _urls("Costs the application most", "time", stats["costliest"][:each], took),
        Text(),
        _urls("Asked for most", "requests", stats["busiest"][:each], _count),
        Text(),
        Text.assemble(
            ("Why not from the cache  ", "bold"), reasons or "nothing yet", overflow="ellipsis", no_wrap=True
        ),
        _state(stats),
    ]
    return Group(*parts)


def _heading(seen: Seen) -> Text:
    stats = seen.stats
    workers = f"{stats['workers']:.0f} worker{'' if stats['workers'] == 1 else 's'}"
    about = f"  {seen.address}, version {stats['version']}, {workers}, started {_ago(stats)} ago  "
    heading = Text.assemble(("sitecache", "bold"), about)
    return heading.append(seen.wrong, style="bold red") if seen.wrong else heading


def _ago(stats: Values) -> str:
    seconds = max(0.0, stats["time"] - stats["started"])
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _numbers(stats: Values, lately: Span | None) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column()
    table.add_column("last minute", justify="right", header_style="dim", min_width=18)
    table.add_column("since the start", justify="right", header_style="dim", min_width=18)
    ends, whole = stats["duration_seconds"]["ends"], since_start(stats)
    then = _column(lately, ends, lately.seconds) if lately else ["-"] * len(_NAMES)
    for name, now, ever in zip(_NAMES, then, _column(whole, ends, None), strict=True):
        table.add_row(Text(name, style="bold"), now, ever)
    return table


_NAMES = (
    "Hit ratio",
    "Requests",
    "  with 5xx",
    "Asked of the application",
    "Bytes saved",
    "A hit takes",
    "A miss takes",
)


def _column(span: Span, ends: Sequence[str], seconds: float | None) -> list[str]:
    """Return the numbers of some time: rates where it is known how long that was."""

    def many(count: float) -> str:
        return number(count) if seconds is None else f"{number(count / seconds)} /s"

    saved = bytes_of(span.saved) if seconds is None else f"{bytes_of(span.saved / seconds)}/s"
    return [
        percent(ratio(span.hits, span.requests)),
        many(span.requests),
        many(span.errors),
        many(span.asked),
        f"{saved} ({percent(ratio(span.saved, span.sent))})",
        *(
            f"{took(quantile(counts, ends, 0.5))}, 95 %: {took(quantile(counts, ends, 0.95))}"
            for counts in (span.hits_took, span.misses_took)
        ),
    ]


def _urls(title: str, column: str, urls: Iterable[Values], written: Callable[[float], str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, expand=True)
    table.add_column(column, justify="right", header_style="dim", min_width=8, no_wrap=True)
    table.add_column("last time", header_style="dim", min_width=14, no_wrap=True)
    table.add_column(title, header_style="bold", ratio=1, no_wrap=True, overflow="ellipsis")
    for one in urls:
        word = Text(one["detail"] or one["cache"], style="green" if one["cache"] in _SERVED else "yellow")
        table.add_row(written(one["weight"]), word, Text(_ODD.sub(_escaped, one["url"])))
    return table


def _count(weight: float) -> str:
    # Halved again and again: an estimate, of which parts say nothing.
    return number(round(weight))


def _escaped(odd: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in odd[0].encode("latin-1", "replace"))


def _reasons(stats: Values) -> str:
    counted: Mapping[str, float] = stats["details"]
    found = sorted(((count, word) for word, count in counted.items() if count), key=lambda one: (-one[0], one[1]))
    return ", ".join(f"{word} {number(count)}" for count, word in found)


def _state(stats: Values) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for alias, cache in stats["caches"].items():
        fails = any(cache.get("resting", {}).values())
        table.add_row(Text(f"Cache {alias}", style="bold"), _works("works", fails=fails), Text(_held(cache)))
    for address, origin in stats["upstreams"].items():
        errors = sum(origin["errors"].values())
        said = f"asked {number(origin['requests'])}, no usable answer {number(errors)}"
        table.add_row(
            Text(f"Application {address}", style="bold"), _works("answers", fails=origin["failing"]), Text(said)
        )
    return table


def _works(word: str, *, fails: bool) -> Text:
    return Text("fails", style="bold red") if fails else Text(word, style="green")


def _held(cache: Values) -> str:
    if "entries" not in cache:
        return "others use it too, so nobody counts what it holds"
    limit = f" of {bytes_of(cache['limit_bytes'])}" if cache.get("limit_bytes") else ""
    evicted = sum(cache.get("evictions", {}).values())
    return f"{number(cache['entries'])} stored, {bytes_of(cache['bytes'])}{limit}, {number(evicted)} evicted"
