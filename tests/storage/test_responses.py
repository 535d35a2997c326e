"""Which stored response does a request select, what is forgotten, and is the memory counted? (RFC 9111 §4.1)"""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from proxy.config.units import Bytes, Seconds, UnixTime
from proxy.message.fields import Fields
from proxy.message.framing import NO_BODY
from proxy.message.heads import Request
from proxy.policy.key import Distinctions, PrimaryKey
from proxy.policy.ranges import Extent
from proxy.policy.stored import StoredResponse, Terms
from proxy.storage.memory import PageMemory
from proxy.storage.responses import MemoryResponses, NoResponses
from tests.storage.contract import Clock

PAGE = PrimaryKey(b"page")
OTHER = PrimaryKey(b"other")
LATER = UnixTime(2000.0)
NO_COOKIES = Distinctions(())


def asking(*lines: str) -> Request:
    pairs = [line.partition(": ") for line in lines]
    fields = Fields([(name.encode(), value.encode()) for name, _, value in pairs])
    return Request(b"GET", b"/", fields, NO_BODY, b"site.test")


def stored(body: bytes = b"body", vary: tuple[bytes, ...] = (), born: float = 1000.0) -> StoredResponse:
    terms = Terms(
        born=UnixTime(born),
        lifetime=Seconds(born / 20),
        explicit=True,
        no_cache=False,
        must_revalidate=False,
        stale_while_revalidate=Seconds(born / 40),
        stale_if_error=Seconds(born / 50),
        etag=b'"%d"' % len(body),
        last_modified=None,
        vary=vary,
    )
    return StoredResponse(200, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(body), body, terms)


class Shelf:
    """Responses in memory, and the clock they live by."""

    def __init__(self, variants: int = 128, **bounds: int | None) -> None:
        self.clock = Clock()
        self.memory = PageMemory(self.clock, **{"max_entries": None, **bounds})  # type: ignore[arg-type]
        self.responses = MemoryResponses(self.memory, NO_COOKIES, variants)

    def put(self, primary: PrimaryKey, response: StoredResponse, *lines: str, until: UnixTime = LATER) -> bool:
        return self.responses.store(primary, asking(*lines), response, until, self.clock())

    def body(self, primary: PrimaryKey, *lines: str) -> bytes | None:
        found = self.responses.select(primary, asking(*lines), self.clock())
        return None if found is None else found.body


BY_LANGUAGE = (b"accept-language",)
BY_ENCODING = (b"accept-encoding",)


def test_one_response_for_a_resource() -> None:
    shelf = Shelf()
    assert shelf.body(PAGE) is None
    assert shelf.put(PAGE, stored(b"1"))
    assert shelf.put(PAGE, stored(b"2"))
    assert shelf.put(OTHER, stored(b"3"))
    assert (shelf.body(PAGE, "accept-language: de"), shelf.body(OTHER)) == (b"2", b"3")
    assert len(shelf.memory) == 2


def test_what_responses_vary_by_is_known_only_while_something_is() -> None:
    shelf = Shelf()
    now = shelf.clock()
    assert list(shelf.responses.vary_specs(PAGE, now)) == []
    shelf.put(PAGE, stored())
    assert list(shelf.responses.vary_specs(PAGE, now)) == [()]
    shelf.put(PAGE, stored(vary=BY_LANGUAGE), "accept-language: de")
    shelf.put(PAGE, stored(vary=BY_ENCODING), "accept-encoding: br")
    assert list(shelf.responses.vary_specs(PAGE, now)) == [BY_ENCODING, BY_LANGUAGE], "the latest first"


@pytest.mark.rfc(9111, "4.1")
def test_variants_are_selected_by_what_each_varies_by() -> None:
    shelf = Shelf()
    shelf.put(PAGE, stored(b"de", BY_LANGUAGE), "accept-language: de")
    shelf.put(PAGE, stored(b"en", BY_LANGUAGE), "accept-language: en")
    shelf.put(PAGE, stored(b"br", BY_ENCODING), "accept-encoding: br")
    assert shelf.body(PAGE, "accept-language: de") == b"de"
    assert shelf.body(PAGE, "accept-language: en") == b"en"
    assert shelf.body(PAGE, "accept-language: en", "accept-encoding: br") == b"br", "the latest of two that would do"
    assert shelf.body(PAGE, "accept-language: fr") is None
    assert shelf.body(OTHER, "accept-language: de") is None


def test_a_complete_variant_is_selected_before_a_part() -> None:
    shelf = Shelf()
    shelf.put(PAGE, stored(b"whole", (b"accept",)), "accept: a")
    whole = stored(b"part", (b"accept-language",))
    shelf.put(PAGE, StoredResponse(206, whole.head, b"part", whole.terms, Extent(0, 3, 9)), "accept-language: de")
    assert shelf.body(PAGE, "accept: a", "accept-language: de") == b"whole"
    assert shelf.body(PAGE, "accept: b", "accept-language: de") == b"part"


def test_a_revision_sees_what_is_there_and_may_leave_it() -> None:
    shelf = Shelf()
    seen: list[object] = []

    def leave(current: StoredResponse | None, specs: object) -> None:
        seen.append((None if current is None else current.body, specs))

    shelf.responses.revise(PAGE, asking(), leave, UnixTime(1000.0))
    shelf.put(PAGE, stored(b"one"))
    shelf.responses.revise(PAGE, asking(), leave, UnixTime(1000.0))
    assert seen == [(None, ()), (b"one", ((),))]
    shelf.responses.revise(PAGE, asking(), lambda *_: (stored(b"two"), LATER), UnixTime(1000.0))
    assert shelf.body(PAGE) == b"two"
    NoResponses().revise(PAGE, asking(), leave, UnixTime(1000.0))
    assert len(seen) == 2


def test_a_response_that_does_not_vary_takes_the_place_of_all_variants() -> None:
    shelf = Shelf()
    for language in ("de", "en"):
        shelf.put(PAGE, stored(vary=BY_LANGUAGE), f"accept-language: {language}")
    shelf.put(PAGE, stored(b"all"))
    assert shelf.body(PAGE, "accept-language: de") == b"all"
    assert len(shelf.memory) == 1


def test_variants_end_one_by_one() -> None:
    shelf = Shelf()
    shelf.put(PAGE, stored(b"de", BY_LANGUAGE), "accept-language: de", until=UnixTime(1010.0))
    shelf.put(PAGE, stored(b"en", BY_LANGUAGE), "accept-language: en")
    shelf.clock.turn(10)
    assert shelf.body(PAGE, "accept-language: de") is None
    assert shelf.body(PAGE, "accept-language: en") == b"en"


def test_variants_are_evicted_one_by_one() -> None:
    shelf = Shelf(max_bytes=12_000)
    names = [f"l{number}" for number in range(20)]
    for name in names:
        shelf.put(PAGE, stored(name.encode() * 500, BY_LANGUAGE), f"accept-language: {name}")
        assert shelf.body(PAGE, f"accept-language: {name}") == name.encode() * 500
    there = [name for name in names if shelf.body(PAGE, f"accept-language: {name}") is not None]
    assert there == names[-len(there) :]
    assert 2 < len(there) < 20
    assert shelf.memory.bytes <= 12_000


def test_the_oldest_variant_goes_when_there_are_too_many() -> None:
    shelf = Shelf(variants=2)
    for name in ("de", "en", "de", "fr"):
        shelf.put(PAGE, stored(name.encode(), BY_LANGUAGE), f"accept-language: {name}")
    got = [shelf.body(PAGE, f"accept-language: {name}") for name in ("de", "en", "fr")]
    assert got == [b"de", None, b"fr"]
    assert len(shelf.memory) == 3


def test_only_so_many_vary_fields_are_remembered() -> None:
    shelf = Shelf()
    for number in range(6):
        shelf.put(PAGE, stored(b"%d" % number, (b"x-%d" % number,)), f"x-{number}: 1")
    specs = shelf.responses.vary_specs(PAGE, shelf.clock())
    assert list(specs) == [(b"x-5",), (b"x-4",), (b"x-3",), (b"x-2",)]


@pytest.mark.rfc(9111, "4.4")
def test_invalidating_forgets_every_variant_and_nothing_else() -> None:
    shelf = Shelf()
    for name in ("de", "en"):
        shelf.put(PAGE, stored(vary=BY_LANGUAGE), f"accept-language: {name}")
    shelf.put(OTHER, stored())
    assert shelf.responses.invalidate(PAGE)
    assert not shelf.responses.invalidate(PAGE)
    assert len(shelf.memory) == 1
    assert shelf.body(OTHER) == b"body"


@pytest.mark.rfc(9111, "4.4")
def test_a_variant_whose_list_was_evicted_does_not_come_back_after_an_invalidation() -> None:
    shelf = Shelf()
    shelf.put(PAGE, stored(b"outdated", BY_LANGUAGE), "accept-language: de")
    shelf.memory.drop(PAGE)
    shelf.responses.invalidate(PAGE)
    shelf.put(PAGE, stored(b"new", BY_LANGUAGE), "accept-language: en")
    assert shelf.body(PAGE, "accept-language: de") is None
    assert shelf.body(PAGE, "accept-language: en") == b"new"


@pytest.mark.parametrize("frequency", [0, 1, 3])
@pytest.mark.parametrize("most", [2, 3, 5])
def test_what_was_stored_last_is_found_however_few_may_be_kept(most: int, frequency: int) -> None:
    shelf = Shelf(max_entries=most, cull_frequency=frequency)
    for number in range(20):
        page = PrimaryKey(b"page %d" % (number % 7))
        shelf.put(page, stored(b"%d" % number, BY_LANGUAGE), f"accept-language: {number}")
        assert shelf.body(page, f"accept-language: {number}") == b"%d" % number


def test_a_response_larger_than_the_memory_is_refused() -> None:
    shelf = Shelf(max_bytes=5000)
    assert not shelf.put(PAGE, stored(b"x" * 6000))
    assert not shelf.put(PAGE, stored(b"x" * 6000, BY_LANGUAGE), "accept-language: de")
    assert shelf.body(PAGE, "accept-language: de") is None
    assert shelf.memory.bytes <= 5000


def test_nothing_is_stored_where_nothing_is_to_be() -> None:
    nowhere = NoResponses()
    now = UnixTime(0)
    assert not nowhere.store(PAGE, asking(), stored(), LATER, now)
    assert nowhere.select(PAGE, asking(), now) is None
    assert list(nowhere.vary_specs(PAGE, now)) == []
    assert list(nowhere.tags(PAGE, now)) == []
    assert not nowhere.invalidate(PAGE)


def head(number: int) -> bytes:
    lines = [
        b"HTTP/1.1 200 OK",
        b"Date: Sun, 09 Sep 2001 01:46:40 GMT",
        b"Content-Type: text/html; charset=utf-8",
        b"Content-Length: 4096",
        b"Cache-Control: max-age=%d" % number,
        b"Vary: Accept-Language, Cookie",
        b'ETag: "%032x"' % number,
        b"",
    ]
    return b"\r\n".join(lines)


@pytest.mark.parametrize(
    ("urls", "variants"),
    [
        pytest.param(5000, 0, id="no-variants"),
        pytest.param(5000, 1, id="one-variant-each"),
        pytest.param(1250, 4, id="four-variants"),
        pytest.param(50, 100, id="a-hundred-variants"),
    ],
)
@pytest.mark.parametrize("size", [pytest.param(4096, id="4-KiB"), pytest.param(0, id="empty")])
def test_the_accounting_is_true(urls: int, variants: int, size: int) -> None:
    """5,000 responses take what is accounted for them, as tracemalloc sees it, within 15 %."""
    shelf = Shelf()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for url in range(urls):
            primary = PrimaryKey(b"7:default4:http9:site.test30:/articles/2001/09/%012d/" % url)
            for variant in range(max(1, variants)):
                put_as_the_driver_does(shelf, primary, url, variant, size, BY_LANGUAGE if variants else ())
        gc.collect()
        traced = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert shelf.memory.bytes == pytest.approx(traced, rel=0.15)


def put_as_the_driver_does(
    shelf: Shelf, primary: PrimaryKey, url: int, variant: int, size: int, vary: tuple[bytes, ...]
) -> None:
    number = url * 1000 + variant
    response = stored(b"%d" % (number % 10) * size, tuple(bytes(bytearray(name)) for name in vary), 1000.0 + number)
    kept = StoredResponse(200, head(number), response.body, response.terms)
    until = UnixTime(1e9 + number)
    shelf.responses.store(primary, asking(f"accept-language: lang-{variant}"), kept, until, UnixTime(1000.0))
    found = shelf.responses.select(primary, asking(f"accept-language: lang-{variant}"), UnixTime(1000.0))
    assert found is kept
    found.tail(UnixTime(1010.0 + number))


def test_a_size_is_a_count_of_bytes() -> None:
    response = stored(b"x" * 1000)
    assert Bytes(1000) < response.size() < Bytes(2500)
