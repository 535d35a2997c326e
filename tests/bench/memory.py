"""What does a stored response cost, in memory of the process and as it is accounted?

``python -m tests.bench.memory [RESPONSES]`` stores that many (100,000 unless told) of each kind, in a process of its
own, and prints what was sent, and the bytes of each response as the kernel counts them (PSS) and as MAX_BYTES does.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from proxy.config.units import Seconds, UnixTime
from proxy.message.fields import Fields
from proxy.message.framing import NO_BODY
from proxy.message.heads import Request
from proxy.policy.key import Distinctions, PrimaryKey
from proxy.policy.stored import StoredResponse, Terms
from proxy.storage.memory import PageMemory
from proxy.storage.responses import MemoryResponses

HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sun, 09 Sep 2001 01:46:40 GMT\r\n"
    b"Content-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\nCache-Control: max-age=3600\r\n"
    b"Last-Modified: %b\r\nETag: %b\r\nX-Frame-Options: DENY\r\nReferrer-Policy: same-origin\r\n"
    b"Cross-Origin-Opener-Policy: same-origin\r\n%b"
)
KINDS = {
    "plain": (4096, 0, b""),
    "small": (100, 0, b""),
    "large": (50_000, 0, b""),
    "one-variant": (4096, 1, b"Vary: Accept-Language\r\n"),
    "four-variants": (4096, 4, b"Vary: Accept-Language\r\n"),
    "groups": (4096, 0, b'Cache-Groups: "news", "front"\r\n'),
}
"""The size of the body, how many variants a URL has (0: it does not vary), and what the head says of it."""
_NOW = UnixTime(1e9)


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes for each response."""

    sent: float
    """Of its head and its body."""
    pss: float
    accounted: float


def measure(kind: str, responses: int) -> Cost:
    """Store so many in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.memory", kind, str(responses)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Cost(**json.loads(done.stdout))


def store(kind: str, responses: int) -> Cost:
    """Store so many, and use every other one, which keeps what was last written for it."""
    size, variants, said = KINDS[kind]
    memory = PageMemory(lambda: _NOW)
    shelf = MemoryResponses(memory, Distinctions(()), 128)
    asking = [
        Request(b"GET", b"/", Fields([(b"Cookie", b"a=1"), (b"Accept-Language", b"l%d" % number)]), NO_BODY, b"site")
        for number in range(max(1, variants))
    ]
    sent = 0
    before = _pss()
    for number in range(responses):
        primary = PrimaryKey(b"7:default4:http9:site.test30:/articles/%012d/" % (number // len(asking)))
        request = asking[number % len(asking)]
        response = _response(number, size, variants, said)
        sent += len(response.head) + size
        shelf.store(primary, request, response, UnixTime(_NOW + number / 1000), _NOW)
        if number % 2:
            response.tail(UnixTime(_NOW + number))
    gc.collect()
    return Cost(sent / responses, (_pss() - before) / responses, memory.bytes / responses)


def _response(number: int, size: int, variants: int, said: bytes) -> StoredResponse:
    # Each is made anew, as when it is read from a connection.
    etag = b'"%032x"' % number
    modified = b"Sun, 09 Sep 2001 01:%02d:%02d GMT" % (number // 60 % 60, number % 60)
    born = UnixTime(_NOW - number / 1000)
    lifetime, vary = Seconds(3600.0), (b"accept-language",) if variants else ()
    terms = Terms(born, lifetime, True, False, False, Seconds(0.0), None, etag, modified, vary)
    return StoredResponse(200, HEAD % (size, modified, etag, said), b"%d" % (number % 10) * size, terms)


def _pss() -> int:
    """Return the proportional set size of this process."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def main() -> None:
    if len(sys.argv) > 2:
        print(json.dumps(asdict(store(sys.argv[1], int(sys.argv[2])))))
        return
    responses = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print("| kind | head and body | PSS | of them | accounted | of PSS |")
    print("|---|---:|---:|---:|---:|---:|")
    for kind in KINDS:
        # The large ones would not fit everywhere.
        cost = measure(kind, responses // (10 if kind == "large" else 1))
        shares = (
            f"{cost.pss:,.0f} | {cost.pss / cost.sent:.2f} | {cost.accounted:,.0f} | {cost.accounted / cost.pss:.2f}"
        )
        print(f"| {kind} | {cost.sent:,.0f} | {shares} |")


if __name__ == "__main__":
    main()
