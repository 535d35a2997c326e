"""Are stored responses in a shared cache those that every worker has stored last, and never one that is outdated?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.config.model import CacheConfig
from proxy.config.units import UnixTime
from proxy.message.heads import Request
from proxy.policy.key import Distinctions, PrimaryKey
from proxy.policy.stored import StoredResponse
from proxy.storage.backends.limits import Limits
from proxy.storage.backends.shared import SharedMemoryCache
from proxy.storage.backends.shared_marks import bucket_of
from proxy.storage.backends.shared_record import Kind, name_of
from proxy.storage.ready import ready_bytes
from proxy.storage.remote import key_maker
from proxy.storage.responses import NotAtHand
from proxy.storage.shared import SharedResponses
from tests.storage.contract import Clock
from tests.storage.test_responses import BY_ENCODING, BY_LANGUAGE, LATER, NO_COOKIES, OTHER, PAGE, asking, stored

NOW = UnixTime(1000.0)
KEY = key_maker(CacheConfig("shared"))


class Workers:
    """Several workers with one cache; each remembers by itself."""

    def __init__(self, place: Path, clock: Clock) -> None:
        self.cache = SharedMemoryCache(str(place), clock, Limits(max_entries=None, max_bytes=32 * 2**20))
        self.clock = clock
        self.first, self.second, self.third = self.another(), self.another(), self.another()

    def another(self) -> SharedResponses:
        return SharedResponses(self.cache.store, KEY, NO_COOKIES, 4, self.clock)


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Workers]:
    found = Workers(tmp_path / "cache", Clock())
    yield found
    await found.first.finish()
    await found.second.finish()
    await found.cache.close()


def put(responses: SharedResponses, response: StoredResponse, *lines: str, primary: PrimaryKey = PAGE) -> bool:
    return responses.store(primary, asking(*lines), response, LATER, NOW)


def body(responses: SharedResponses, *lines: str, primary: PrimaryKey = PAGE, now: UnixTime = NOW) -> bytes | None:
    found = responses.select(primary, asking(*lines), now)
    return None if found is None else found.body


def test_what_one_stores_all_select(workers: Workers) -> None:
    assert body(workers.second) is None
    assert put(workers.first, stored(b"one"))
    for _ in range(2):
        assert body(workers.first) == body(workers.second) == b"one"
    assert put(workers.second, stored(b"two"))
    for _ in range(2):
        assert body(workers.first) == body(workers.second) == b"two"
    assert body(workers.first, primary=OTHER) is None


def test_a_hit_is_the_same_object_until_something_changes(workers: Workers) -> None:
    put(workers.first, stored(b"one"))
    selected = workers.second.select(PAGE, asking(), NOW)
    assert workers.second.select(PAGE, asking(), NOW) is selected
    put(workers.first, stored(b"one"))
    assert workers.second.select(PAGE, asking(), NOW) is not selected


@pytest.mark.parametrize(
    ("megabytes", "workers", "ready"),
    [
        pytest.param(256, 1, 16, id="a-sixteenth"),
        pytest.param(1024, 1, 16, id="at-most"),
        pytest.param(1024, 2, 8, id="shared-by-two"),
        pytest.param(128, 2, 4, id="a-sixteenth-shared-by-two"),
        pytest.param(1024, 64, 2, id="each-at-least"),
        pytest.param(4, 1, 2, id="a-small-one-at-least"),
    ],
)
def test_what_all_have_ready_is_a_small_part_of_the_cache(megabytes: int, workers: int, ready: int) -> None:
    assert ready_bytes(megabytes * 2**20, workers) == ready * 2**20


def test_what_has_ended_is_not_there(workers: Workers) -> None:
    put(workers.first, stored(b"one"))
    for responses in (workers.first, workers.second):
        assert body(responses, now=UnixTime(1999.0)) == b"one"
        assert body(responses, now=LATER) is None


@pytest.mark.rfc(9111, "4.1")
def test_variants_of_all_workers_are_selected(workers: Workers) -> None:
    put(workers.first, stored(b"en", BY_LANGUAGE), "accept-language: en")
    put(workers.second, stored(b"de", BY_LANGUAGE), "accept-language: de")
    put(workers.first, stored(b"gzip", BY_ENCODING), "accept-encoding: gzip", "accept-language: fr")
    for responses in (workers.first, workers.second):
        assert body(responses, "accept-language: en") == b"en"
        assert body(responses, "accept-language: de") == b"de"
        assert body(responses, "accept-encoding: gzip") == b"gzip"
        assert body(responses, "accept-language: it") is None
        assert responses.vary_specs(PAGE, NOW) == (BY_ENCODING, BY_LANGUAGE)


@pytest.mark.rfc(9111, "4.4")
@pytest.mark.parametrize("vary", [(), BY_LANGUAGE], ids=["plain", "varied"])
def test_what_one_invalidates_is_gone_for_all(workers: Workers, vary: tuple[bytes, ...]) -> None:
    put(workers.first, stored(b"one", vary), "accept-language: en")
    assert body(workers.second, "accept-language: en") == b"one"
    assert workers.second.invalidate(PAGE)
    assert body(workers.first, "accept-language: en") is None
    assert body(workers.second, "accept-language: en") is None
    assert not workers.first.invalidate(PAGE)


@pytest.mark.rfc(9111, "4.4")
def test_what_was_asked_for_before_an_invalidation_is_not_stored(workers: Workers) -> None:
    before = workers.first.begun()
    workers.second.invalidate(PAGE)
    assert not put(before, stored(b"outdated"))
    assert body(workers.first) is None
    assert put(before, stored(b"other"), primary=OTHER)
    assert put(workers.first.begun(), stored(b"new"))
    assert body(workers.second) == b"new"


def test_what_was_asked_for_before_all_was_given_up_is_not_stored(workers: Workers) -> None:
    before = workers.first.begun()
    workers.cache.store.give_up("a test")
    assert not put(before, stored(b"outdated"))
    assert put(workers.first.begun(), stored(b"new"))
    assert body(workers.second) == b"new"


@pytest.mark.rfc(9875, "2.2")
def test_a_group_becomes_invalid_for_all(workers: Workers) -> None:
    response = stored(b"one")
    grouped = StoredResponse(200, response.head + b'Cache-Groups: "a"\r\n', b"one", response.terms)
    put(workers.first, grouped)
    assert body(workers.first) == body(workers.second) == b"one"
    group = PrimaryKey(b"group 4:http9:site.test1:a")
    workers.second.invalidate_group(group, UnixTime(1001.0))
    assert body(workers.first) is None
    assert body(workers.second) is None


def test_a_writer_that_died_in_the_middle_makes_others_read_again_and_no_more(workers: Workers) -> None:
    put(workers.first, stored(b"one"))
    assert body(workers.second) == b"one"
    bucket = bucket_of(name_of(KEY(PAGE).encode()))
    workers.cache.store.file.marks.begin([bucket])
    selected = workers.second.select(PAGE, asking(), NOW)
    assert selected is not None
    assert selected.body == b"one"
    put(workers.first, stored(b"two"))
    assert body(workers.second) == b"two"
    again = workers.second.select(PAGE, asking(), NOW)
    assert workers.second.select(PAGE, asking(), NOW) is again


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"scp9 nothing of ours", id="unknown"),
        pytest.param(b"x" * 9000, id="long"),
    ],
)
def test_what_is_no_response_is_a_miss_and_goes(workers: Workers, written: bytes) -> None:
    key = KEY(PAGE).encode()
    workers.cache.store.change(lambda change: change.put(name_of(key), key, Kind.RESPONSE, written, LATER))
    assert body(workers.first) is None
    assert workers.first.damaged == 1
    assert workers.cache.store.find(name_of(key)) is None
    assert put(workers.first, stored(b"one"))
    assert body(workers.second) == b"one"


@pytest.mark.parametrize("vary", [(), BY_LANGUAGE], ids=["plain", "varied"])
async def test_a_large_body_is_stored_in_a_thread(workers: Workers, vary: tuple[bytes, ...]) -> None:
    large = stored(b"x" * 3_000_000, vary)
    assert put(workers.first, large, "accept-language: en")
    if not vary:
        assert body(workers.first) == large.body, "what is on its way counts as being there"
    await workers.first.finish()
    assert not workers.first.is_busy
    request = asking("accept-language: en")
    with pytest.raises(NotAtHand):
        workers.second.select(PAGE, request, NOW)
    told: list[object] = []
    workers.third.seek(PAGE, request, NOW, told.append)
    for coming in (workers.first.look(PAGE, request, NOW), workers.second.look(PAGE, request, NOW), told[0]):
        found = await coming
        assert found is not None
        assert found.body == large.body
    put(workers.second, stored(b"small", vary), "accept-language: en")
    assert body(workers.first, "accept-language: en") == b"small"


async def test_a_large_body_on_its_way_is_outdated_by_an_invalidation(workers: Workers) -> None:
    put(workers.first.begun(), stored(b"x" * 3_000_000))
    workers.second.invalidate(PAGE)
    assert body(workers.first) is None
    await workers.first.finish()
    assert body(workers.first) is None
    assert body(workers.second) is None


def test_a_revision_sees_what_others_have_stored(workers: Workers) -> None:
    put(workers.first, stored(b"one"))

    def revised(current: StoredResponse | None, specs: object) -> tuple[StoredResponse, UnixTime]:
        assert current is not None
        assert specs == ((),)
        return stored(current.body + b" and more"), LATER

    workers.second.revise(PAGE, asking(), revised, NOW)
    assert body(workers.first) == b"one and more"


def test_only_what_is_meant_is_dropped(workers: Workers) -> None:
    first = stored(b"one", BY_LANGUAGE)
    put(workers.first, first, "accept-language: en")
    put(workers.second, stored(b"another", BY_LANGUAGE), "accept-language: en")
    workers.first.drop(PAGE, asking("accept-language: en"), first)
    assert body(workers.second, "accept-language: en") == b"another"
    workers.first.drop(PAGE, asking("accept-language: en"), stored(b"another", BY_LANGUAGE))
    assert body(workers.second, "accept-language: en") is None


async def test_a_key_function_that_fails_costs_no_request(workers: Workers) -> None:
    def broken(key: bytes) -> str:
        raise LookupError(key)

    responses = SharedResponses(workers.cache.store, broken, Distinctions(()), 4, workers.clock)
    request: Request = asking()
    assert responses.select(PAGE, request, NOW) is None
    assert not put(responses, stored(b"one"))
    assert not responses.invalidate(PAGE)
    responses.invalidate_group(PAGE, NOW)
    assert await responses.listed(PAGE, 9, NOW) == ()
