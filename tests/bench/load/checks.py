"""Did a server do what the load claims: the right answers, stored or not?"""

import http.client
import random
import time
from collections.abc import Sequence

from tests.bench.load import traffic
from tests.bench.load.processes import Running
from tests.bench.load.servers import ASKED
from tests.bench.load.wrk import LoadError

#: Seconds without a request after which the origin has had all that were sent.
SETTLE = 0.05
STORED = "max-age=3600"
NOT_STORED = "no-store"


class Asked:
    """How many requests the origin on `port` has had, those of this class not counted."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._own = 0

    def so_far(self) -> int:
        """The number once it no longer changes: requests that were still under way have arrived by then."""
        count, before = self._read(), -1
        while count != before:
            time.sleep(SETTLE)
            count, before = self._read(), count
        return count

    def _read(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        connection.request("GET", ASKED)
        # The third line of stub_status has three numbers: connections accepted and handled, and requests.
        counts = connection.getresponse().read().split(b"\n")[2]
        connection.close()
        self._own += 1
        return int(counts.split()[2]) - self._own


def check_pages(
    server: Running, paths: Sequence[str], cache_control: str, more: traffic.More = traffic.no_more
) -> None:
    """Ask for each path as some visitor; raises LoadError where an answer is not what that request has to get."""
    chance = random.Random(1)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for path in paths:
        visitor = traffic.visitor_fields(chance.randrange(traffic.VISITORS), f"127.0.0.1:{server.port}")
        fields = dict([*visitor, *more(path, chance)])
        connection.request("GET", path, headers=fields)
        answer = connection.getresponse()
        body = answer.read()
        if fault := _fault(path, fields, answer, body, cache_control):
            raise LoadError(f"{server.name} answered {path} wrongly: {fault}")
    connection.close()


def _fault(path: str, fields: dict[str, str], answer: http.client.HTTPResponse, body: bytes, cache_control: str) -> str:
    status, expected, kind, part = 200, traffic.page(path), "text/html; charset=utf-8", None
    if "If-None-Match" in fields:
        status, expected, kind = 304, b"", None
    elif "Range" in fields:
        first, last = map(int, fields["Range"].removeprefix("bytes=").split("-"))
        status, part, expected = 206, f"bytes {first}-{last}/{len(expected)}", expected[first : last + 1]
    said = (answer.status, answer.getheader("Cache-Control"), answer.getheader("Content-Range"))
    if said != (status, cache_control, part):
        return repr(said)
    # A 304 need not say of what type the page is.
    if kind and answer.getheader("Content-Type") != kind:
        return repr(answer.getheader("Content-Type"))
    return "" if body == expected else f"{len(body)} bytes that are not the page's"
