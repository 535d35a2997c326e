"""The inputs of docs/coming-from.md, and how each is played to the driver and to Django's middleware."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.exchange.site import Route, Sites
from proxy.message.framing import NO_BODY
from proxy.upstream.connection import Answer, Ask
from tests.exchange.making import Client, Gate, Origin, request, settled, whole
from tests.exchange.test_routes import Routed

ROOT = Path(__file__).parents[2]
TAG, MODIFIED = 'ETag: "a"', "Last-Modified: Sun, 09 Sep 2001 00:00:00 GMT"
HTML = "Content-Type: text/html"
BODY = b"0123456789"


@dataclass(frozen=True)
class Step:
    """One request, and how long after the one before it."""

    fields: Sequence[str] = ()
    method: str = "GET"
    after: float = 0


GET = Step()
TWICE = (GET, GET)


@dataclass(frozen=True)
class Input:
    """A response of the application, what is asked, and what of the last answer is looked at."""

    lines: Sequence[str]
    steps: Sequence[Step] = TWICE
    status: int = 200
    looked_at: str = ""
    """A field, with which a hit comes or without; ``status``; ``count`` of requests that came at once; or ``wait``."""
    by_django: bool = True
    """Django can say it."""


INPUTS: Mapping[int, Input] = {
    1: Input(["Cache-Control: max-age=60", "Cache-Control: max-age=5"], (GET, Step(after=10)), by_django=False),
    2: Input(['Cache-Control: max-age="60"']),
    3: Input(["Expires: 0", TAG, MODIFIED]),
    4: Input(
        ["Cache-Control: max-age=60", "Content-Encoding: gzip"],
        (Step(["Accept-Encoding: gzip"]), Step(["Accept-Encoding: identity"])),
        looked_at="content-encoding",
    ),
    5: Input(["Cache-Control: max-age=60", TAG], (Step(["Range: bytes=0-4"]), GET)),
    6: Input(["Cache-Control: max-age=90", "Age: 100", TAG]),
    7: Input(["Cache-Control: max-age=60, stale-while-revalidate=30", TAG], (GET, Step(after=63)), looked_at="wait"),
    8: Input(["Cache-Control: max-age=60"], (Step(method="HEAD"), GET)),
    9: Input(['Cache-Control: no-cache="Set-Cookie", max-age=60', "Set-Cookie: a=1"], looked_at="set-cookie"),
    10: Input(["Cache-Control: max-age=60", "Set-Cookie: a=1"], looked_at="set-cookie"),
    11: Input(["Cache-Control: max-age=60"], status=404),
    12: Input(["Cache-Control: max-age=60"], status=503),
    13: Input(["Cache-Control: max-age=60"], (GET, Step(method="POST"), GET)),
    14: Input(["Cache-Control: max-age=60", TAG], (GET, Step(["Cache-Control: no-cache"]))),
    15: Input(["Cache-Control: max-age=60"], looked_at="count"),
    16: Input(
        ["Cache-Control: max-age=60", TAG, MODIFIED],
        (GET, Step(['If-None-Match: "a"'], after=100)),
        looked_at="status",
    ),
    17: Input(["Cache-Control: no-store", "CDN-Cache-Control: max-age=60"]),
    18: Input(["Cache-Control: max-age=60", "CDN-Cache-Control: no-store"]),
    19: Input(["Cache-Control: no-store", "Surrogate-Control: max-age=60", TAG]),
    20: Input(["Cache-Control: max-age=60", "Surrogate-Control: no-store"]),
    21: Input([]),
    22: Input([MODIFIED]),
    23: Input(["Cache-Control: s-maxage=18000, max-age=0"]),
    24: Input(["Location: /other"], status=301),
    25: Input(["Pragma: no-cache"]),
}


class Knowing(Origin):
    """An origin that answers one input, and knows conditions and ranges."""

    def __init__(self, one: Input) -> None:
        super().__init__()
        self.one = one
        self.gates: list[Gate] = []
        """Requests that are held."""

    async def send(self, ask: Ask) -> Answer:
        """Answer, or hold the request while several are to come at once."""
        self.asked.append(ask)
        if self.one.looked_at == "count":
            self.gates.append(Gate())
            return await self.gates[-1].pass_through(ask)
        fields, lines = self.fields(), (*self.one.lines, HTML)
        if TAG in lines and fields.get(b"if-none-match") == b'"a"':
            return whole(*lines, status=304).answer
        if fields.get(b"range") == b"bytes=0-4":
            return whole(*lines, "Content-Range: bytes 0-4/10", status=206, body=BODY[:5]).answer
        if fields.get(b"range") == b"bytes=5-9":
            return whole(*lines, "Content-Range: bytes 5-9/10", status=206, body=BODY[5:]).answer
        answer = whole(*lines, status=self.one.status, body=BODY).answer
        return Answer(answer.response, whole(status=204).body, NO_BODY) if ask.method == b"HEAD" else answer


class Played(Routed):
    """A driver by some settings, and an origin that answers one input."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], one: Input) -> None:
        self.one = one
        super().__init__(folder, settings)

    def sites(self, plain: Route) -> Sites:
        self.origin = self.knowing = Knowing(self.one)
        return super().sites(plain)

    async def play(self) -> str:
        """Return the word for what becomes of the last request."""
        if self.one.looked_at == "count":
            await self.crowd([request(), request()])
            for gate in self.knowing.gates:
                gate.open(whole(*self.one.lines, HTML))
            await settled()
            return fetches(self.times_asked)
        client = Client()
        for step in self.one.steps:
            self.clock.turn(step.after)
            client = await self.ask(request("/page", *step.fields, method=step.method))
        if client.cache_status.startswith("hit"):
            return word(self.one, client.status, {name.lower().decode() for name in client.fields.index})
        sent, own = self.origin.fields(), {line.partition(":")[0].lower() for line in self.one.steps[-1].fields}
        added = {name for name in ("if-none-match", "if-modified-since", "range") if name.encode() in sent} - own
        how = "fetches the rest" if "range" in added else "validates" if added else "asks"
        return {"status": str(client.status), "wait": "waits"}.get(self.one.looked_at, how)


def word(one: Input, status: int, names: set[str]) -> str:
    """Return the word for a hit."""
    match one.looked_at:
        case "":
            return "hit"
        case "status":
            return str(status)
        case "wait":
            return "at once"
        case "content-encoding":
            return "hit, gzip" if one.looked_at in names else "hit, unpacked"
        case name:
            return "hit, with it" if name in names else "hit, without it"


def fetches(count: int) -> str:
    return "1 fetch" if count == 1 else f"{count} fetches"


def by_django() -> tuple[str, dict[int, str]]:
    """Return Django's version, and the words for what its middleware does with each input that Django can say."""
    inputs = {number: one for number, one in INPUTS.items() if one.by_django}
    told = [
        {
            "steps": [[step.method, [pair(line) for line in step.fields], step.after] for step in one.steps],
            "fields": [pair(line) for line in one.lines],
            "status": one.status,
            "at_once": one.looked_at == "count",
        }
        for one in inputs.values()
    ]
    command = [sys.executable, "-m", "tests.sites.middleware"]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(told), capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    return answer["version"], {
        number: _of_django(inputs[number], outcome) for number, outcome in zip(inputs, answer["outcomes"], strict=True)
    }


def _of_django(one: Input, outcome: Mapping[str, Any]) -> str:
    if one.looked_at == "count":
        return fetches(outcome["asked"])
    if outcome["status"] == 500:
        return "500"
    if outcome["asked"] == 0 or one.looked_at == "status":
        return word(one, outcome["status"], set(outcome["fields"]))
    return "waits" if one.looked_at == "wait" else "asks"


def pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name, value
