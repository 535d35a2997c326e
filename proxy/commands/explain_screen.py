"""How does an explanation look on one screen?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Values = Mapping[str, Any]

_SETTING = re.compile(r"`([^`]+)`")
_WIDEST = 120
_GOOD = frozenset({"hit", "hit-stale"})
_PLAIN = frozenset({"hit", "uri-miss", "vary-miss"})
_APART = "Each worker has a locmem of its own; another `CACHES.<alias>.BACKEND`, such as shared, is one for all."
_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def show(told: Values, console: Console | None = None) -> None:
    """Print an explanation: of a running proxy, or of a captured response."""
    console = console or Console(highlight=False)
    console.width = min(console.width, _WIDEST)
    if "workers" not in told:
        _offline(console, told)
        return
    answers = [worker for worker in told["workers"] if "error" not in worker]
    for worker in told["workers"]:
        if "error" in worker:
            console.print(Text(f"worker {worker['worker']}: {worker['error']}", style="red"))
    if answers:
        _online(console, answers, several=len(told["workers"]) > 1)


def _online(console: Console, answers: list[Values], *, several: bool) -> None:
    first = answers[0]
    _heading(console, first)
    words = {_word(answer["now"]) for answer in answers}
    for answer in answers if len(words) > 1 else answers[:1]:
        who = f"worker {answer['worker']}: " if len(words) > 1 else ""
        now = answer["now"]
        style = "bold green" if now["cache"] in _GOOD else "bold yellow"
        console.print(Text.assemble(who, (_verdict(now), style), f"  ({now['cache_status']})"))
    if len(words) > 1:
        console.print(_marked(_APART))
    for remedy in _telling(answer["remedy"] for answer in answers):
        _remedy(console, remedy)
    _key(console, first["key"])
    _stored(console, answers, several=several)
    _last(console, answers, several=several)


def _heading(console: Console, told: Values) -> None:
    request = told["request"]
    console.print(Text.assemble((f"{request['method']} {request['url']}", "bold")))
    names = f"site {told['site']}, route {told['route']}" + (", which bypasses the cache" if told["bypass"] else "")
    console.print(Text("a host that is none of ours" if not told["allowed"] else names))
    likely = [line for line in told.get("assumed", ()) if line.startswith("Accept-")]
    if likely:
        other = told.get("as_given")
        plain = f"; a program that sends no such fields: {other['cache_status']}" if other else ""
        console.print(Text(f"as a browser asks: {'; '.join(likely)} (-H says otherwise){plain}", style="dim"))


def _verdict(now: Values) -> str:
    if now["cache"] == "hit":
        return "A stored response answers."
    if now["cache"] == "hit-stale":
        return "A stale stored response answers."
    return "It is refused." if now["cache"] == "refused" else "The application is asked."


def _word(now: Values) -> tuple[str, str | None]:
    return now["cache"], now["detail"]


def _remedy(console: Console, remedy: Values) -> None:
    grid = Table.grid(padding=(0, 1))
    reason = f" ({remedy['reason']})" if remedy.get("reason") else ""
    grid.add_row(Text("Why: ", style="bold"), _marked(f"{remedy['says']}{reason}"))
    grid.add_row(Text("Do:", style="bold"), _marked(remedy["do"]))
    console.print(grid)


def _key(console: Console, parts: Iterable[Values]) -> None:
    table = _table("The key", "part", "in the key", "does not count", "why")
    for part in parts:
        kept, ignored = Text(part["kept"]), Text(", ".join(part["ignored"]))
        table.add_row(Text(part["name"]), kept, ignored, _marked(part["why"]))
    console.print(table)


def _stored(console: Console, answers: list[Values], *, several: bool) -> None:
    rows = [(answer["worker"], one) for answer in answers for one in answer["stored"]]
    if not rows:
        console.print(Text("Stored: nothing for this URL.", style="bold"))
        return
    first = ["worker"] if several else []
    table = _table("Stored", *first, "", "age", "lifetime", "from", "size", "differs by", "tags")
    for number, one in rows:
        state = _state(one)
        chosen = "→ " if one["selected"] else "  "
        cells = [f"{chosen}{one['status']} {state}", _long(one["age"]), _long(one["lifetime"])]
        size = f"{one['size']:,} B" + (" (a part)" if one["part"] else "")
        lists = [", ".join(one["vary"]) or "nothing", ", ".join(one["tags"])]
        plain = [*([str(number)] if several else []), *cells, one["lifetime_from"], size, *lists]
        table.add_row(*map(_marked, plain))
    console.print(table)


def _state(stored: Values) -> str:
    if stored["purged"]:
        return "purged, so stale"
    return "validated on each use" if stored["validated_on_each_use"] else "fresh" if stored["fresh"] else "stale"


def _last(console: Console, answers: list[Values], *, several: bool) -> None:
    for answer in answers:
        last = answer["last"]
        who = f" (worker {answer['worker']})" if several else ""
        if last is None:
            console.print(Text.assemble((f"Last fetch{who}: ", "bold"), "none that is remembered."))
            continue
        status = "no answer" if last["status"] is None else f"status {last['status']}"
        stored = "stored" if last["stored"] else "not stored"
        reason = last["unkept"] or last["detail"]
        why = f" ({reason})" if reason else ""
        where = ", in the background" if last["background"] else ""
        said = f"{_long(last['seconds_ago'])} ago{where}: {status}, {stored}{why}. {last['says']}"
        console.print(Text.assemble((f"Last fetch{who}: ", "bold"), _marked(said)))


def _offline(console: Console, told: Values) -> None:
    _heading(console, told)
    if told["stored"]:
        each = ", and be validated on each use" if told["validated_on_each_use"] else ""
        said = f"It would be stored, fresh for {_long(told['lifetime'])}{each}."
        console.print(Text(said, style="bold green"))
        grid = Table.grid(padding=(0, 1))
        age = f"; it is {_long(told['age'])} old as it arrives" if told["age"] else ""
        grid.add_row("by", _marked(f"{told['lifetime_from']}{age}"))
        for name, value in told["told"].items():
            grid.add_row("clients get", Text(f"{name}: {value}"))
        if told["without_fields"]:
            grid.add_row("without", Text(", ".join(told["without_fields"])))
        if told["tags"]:
            grid.add_row("tags", Text(", ".join(told["tags"])))
        console.print(grid)
    else:
        console.print(Text("It would not be stored.", style="bold yellow"))
        _remedy(console, {**told["remedy"], "reason": told["reason"]})
    for note in told["notes"]:
        console.print(Text(note, style="yellow"))
    _key(console, told["key"])


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1), pad_edge=False)
    for column in columns:
        table.add_column(column, header_style="dim", overflow="fold")
    return table


def _marked(text: str) -> Text:
    """Return a text in which settings stand out; whatever else is in it is shown as it is."""
    marked = Text()
    for i, piece in enumerate(_SETTING.split(text)):
        marked.append(piece, style="cyan" if i % 2 else "")
    return marked


def _long(seconds: int) -> str:
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.1f}".removesuffix(".0") + unit
    return f"{seconds}s"


def _telling(remedies: Iterable[Values]) -> list[Values]:
    """Return the remedies that differ, and of these the ones that say more than that nothing is stored here."""
    different: list[Values] = []
    for remedy in remedies:
        if remedy not in different:
            different.append(remedy)
    return [remedy for remedy in different if remedy["reason"] not in _PLAIN] or different[:1]
