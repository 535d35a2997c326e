"""Which requests does a round send, and which answers must come back?"""

import random
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

URLS = 2_000
VISITORS = 200
PAGE_BYTES = 4_096
#: Prebuilt requests in one pass of the hits and uncacheable loads; wrk starts over when they are through.
REQUESTS = 20_000

#: Where the pages of the loads are. All paths are equally long (ten digits follow), so that all pages are, too.
STORED = "/pages/"
UNCACHEABLE = "/carts/"
COLD = "/finds/"
#: One large body that is not stored.
FILM = UNCACHEABLE + "film"
FILM_BYTES = 1_000_000_000

#: The parts of a page that are asked for in the load of ranges, first and last byte.
PARTS = tuple((first, first + PAGE_BYTES // 4 - 1) for first in range(0, PAGE_BYTES, PAGE_BYTES // 4))

BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E{}",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0",
)
ACCEPT = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
)
LANGUAGES = ("en-US,en;q=0.9", "de-DE,de;q=0.9,en;q=0.6", "fr,en;q=0.7", "pt-BR,pt;q=0.9,en;q=0.5", "ja,en-US;q=0.5")
ENCODINGS = ("gzip, deflate, br, zstd", "gzip, deflate, br")


#: (path, chance) -> fields that a request has beside those of its visitor
More = Callable[[str, random.Random], list[tuple[str, str]]]


def zipf_choices(urls: int, count: int, chance: random.Random) -> list[int]:
    """`count` numbers below `urls`, where number n is drawn with a weight of 1 / (n + 1)."""
    weights = list(accumulate(1 / rank for rank in range(1, urls + 1)))
    return chance.choices(range(urls), cum_weights=weights, k=count)


def visitor_fields(number: int, host: str) -> list[tuple[str, str]]:
    """The twelve fields that visitor `number` sends with each request; always the same for one visitor."""
    chance = random.Random(number)
    client = f"{chance.randrange(10**9)}.{1_700_000_000 + chance.randrange(10**7)}"
    cookies = (
        f"_ga=GA1.1.{client}; _gid=GA1.1.{chance.randrange(10**9)}.{chance.randrange(10**9)}; "
        f"_ga_{chance.randrange(16**8):08X}=GS1.1.{client}.1.1.0.0; _fbp=fb.1.{chance.randrange(10**12)}"
    )
    return [
        ("Host", host),
        ("Connection", "keep-alive"),
        ("Upgrade-Insecure-Requests", "1"),
        ("User-Agent", chance.choice(BROWSERS).format(chance.randrange(90, 140))),
        ("Accept", chance.choice(ACCEPT)),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Referer", f"http://{host}{STORED}{chance.randrange(URLS):010d}"),
        ("Accept-Encoding", chance.choice(ENCODINGS)),
        ("Accept-Language", chance.choice(LANGUAGES)),
        ("Cookie", cookies),
    ]


def request_bytes(path: str, fields: Sequence[tuple[str, str]]) -> bytes:
    """One GET as it goes over the wire."""
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("ascii")


def no_more(_: str, __: random.Random) -> list[tuple[str, str]]:
    """No fields beyond those of the visitor."""
    return []


def known_page(path: str, _: random.Random) -> list[tuple[str, str]]:
    """The field that a browser sends which has the page."""
    return [("If-None-Match", etag(path))]


def part_of_page(_: str, chance: random.Random) -> list[tuple[str, str]]:
    """The field that asks for a quarter of the page."""
    first, last = chance.choice(PARTS)
    return [("Range", f"bytes={first}-{last}")]


def write_requests(to: Path, prefix: str, host: str, more: More = no_more) -> None:
    """Write the requests that wrk repeats: Zipf over the URLs below `prefix`, a random visitor each."""
    chance = random.Random(2)
    visitors = [visitor_fields(number, host) for number in range(VISITORS)]
    paths = [f"{prefix}{url:010d}" for url in zipf_choices(URLS, REQUESTS, chance)]
    to.write_bytes(b"".join(request_bytes(path, [*chance.choice(visitors), *more(path, chance)]) for path in paths))


def write_new_url_requests(to: Path, host: str) -> None:
    """Write one request a visitor with `@` for the path: wrk puts a path in that nobody has asked for yet."""
    to.write_bytes(b"".join(request_bytes("@", visitor_fields(number, host)) for number in range(VISITORS)))


def page(path: str) -> bytes:
    """The body the origin answers `path` with: PAGE_BYTES bytes that differ from path to path."""
    head = f"<!doctype html><title>{path}</title><p>"
    return (head + "x" * (PAGE_BYTES - len(head))).encode("ascii")


def etag(path: str) -> str:
    """The entity tag that the origin gives the page of `path`."""
    return f'"v1{path}"'
