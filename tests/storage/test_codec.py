"""Is whatever is not exactly what was written under a key a miss: never another page, and never an exception?"""

from __future__ import annotations

import json
from zlib import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import msgpack

from proxy.config.units import UnixTime
from proxy.policy.key import PrimaryKey
from proxy.policy.ranges import Extent
from proxy.policy.stored import StoredResponse, Terms
from proxy.storage.codec import (
    DamagedRecordError,
    GroupMark,
    Record,
    Tagged,
    Variant,
    VaryIndex,
    decode,
    encode,
    read_tags,
    write_tags,
)
from tests.storage.test_responses import stored

KEY = PrimaryKey(b"4:site3:/a?")
OTHER = PrimaryKey(b"4:site3:/b?")


def part(body: bytes, extent: Extent) -> StoredResponse:
    whole = stored(body)
    return StoredResponse(206, whole.head, body, whole.terms, extent)


TAGGED = Tagged(b'"\xe9"', "ab" * 8, UnixTime(1000.5))

RECORDS: dict[str, Record] = {
    "response": stored(b"a page" * 9, (b"accept-language",)),
    "variant": Variant(b"0f", "ab" * 32, stored(b"hola")),
    "part": part(b"of a page", Extent(10, 18, 100)),
    "group": GroupMark(UnixTime(1000.5)),
    "index": VaryIndex(b"0f", ((b"accept-language",), (b"cookie", b"x-device")), {"ab" * 8: 5}),
    "index-with-tags": VaryIndex(b"0f", ((b"accept-language",),), {"ab" * 8: 5}, write_tags([TAGGED])),
}
BY_NAME = [pytest.param(record, id=name) for name, record in RECORDS.items()]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def plain(record: Record) -> object:
    """Return what can be compared."""
    match record:
        case VaryIndex() | GroupMark():
            return record
        case Variant(generation, digest, response):
            return generation, digest, plain(response)
        case response:
            return response.status, response.head, response.body, response.terms, response.extent


@pytest.mark.parametrize(
    "extent",
    [
        pytest.param(Extent(0, 4, 10), id="longer-than-the-body"),
        pytest.param(Extent(0, 2, 10), id="shorter-than-the-body"),
        pytest.param(Extent(8, 11, 11), id="beyond-the-whole"),
        pytest.param(Extent(-1, 2, 10), id="before-the-whole"),
    ],
)
def test_a_part_that_contradicts_itself_is_damaged(extent: Extent) -> None:
    with pytest.raises(DamagedRecordError):
        decode(KEY, encode(KEY, part(b"four", extent)))


def test_a_record_without_an_extent_is_a_complete_response() -> None:
    assert plain(decode(KEY, encode(KEY, stored(b"a page")))) == plain(stored(b"a page"))


@pytest.mark.parametrize("name", ["unsaid", "immutable"])
def test_what_an_older_version_did_not_know_is_not_so(name: str) -> None:
    before, meta, behind = inside(encode(KEY, stored(b"a page")))
    terms = meta[TERMS]
    assert isinstance(terms, list)
    place = IN_ORDER.index(name)
    terms[place] = True
    marked = decode(KEY, composed(before, meta, behind))
    del terms[place:]
    plainly = decode(KEY, composed(before, meta, behind))
    assert isinstance(marked, StoredResponse)
    assert isinstance(plainly, StoredResponse)
    assert [getattr(marked.terms, name), getattr(plainly.terms, name)] == [True, False]


def test_tags_are_read_as_they_were_written() -> None:
    assert read_tags(write_tags([TAGGED, TAGGED])) == (TAGGED, TAGGED)
    assert write_tags([]) == b"", "as an older version writes it"
    assert read_tags(b"") == ()


@given(st.binary(max_size=20) | st.builds(lambda value: json.dumps(value).encode(), VALUES))
@example(b'[["a","ab","soon"]]')
@example(b'[["a","ab"]]')
@example(b'[["a","ab",1e400]]')
@example('[["\u20ac","ab",1]]'.encode())
@example(b'[["a","ab",1%b]]' % (b"0" * 400))
@example(b"[" * 100_000)
def test_tags_that_say_anything_are_whole_or_none(data: bytes) -> None:
    assert all(isinstance(one, Tagged) for one in read_tags(data))


def test_the_names_of_the_terms_take_no_room() -> None:
    written = encode(KEY, stored(b"a page"))
    assert [name for name in IN_ORDER if name.encode() in written] == []


@pytest.mark.parametrize("record", BY_NAME)
def test_what_is_written_is_read(record: Record) -> None:
    assert plain(decode(KEY, encode(KEY, record))) == plain(record)


@pytest.mark.parametrize("record", BY_NAME)
def test_under_another_key_it_is_no_answer(record: Record) -> None:
    with pytest.raises(DamagedRecordError, match="another key"):
        decode(OTHER, encode(KEY, record))


@st.composite
def mutations(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return what was written, and what came of it: bytes changed, left out, put in, cut off or moved about."""
    written = encode(KEY, draw(st.sampled_from(list(RECORDS.values()))))
    data = bytearray(written)
    for _ in range(draw(st.integers(1, 4))):
        at, to = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        data[at:to] = draw(st.binary(max_size=8) | st.just(bytes(data[at:to])) | st.just(bytes(data[at:to]) * 2))
    return written, bytes(data)


@given(mutations())
def test_a_record_that_was_changed_is_damaged(mutation: tuple[bytes, bytes]) -> None:
    written, data = mutation
    if data == written:
        return
    with pytest.raises(DamagedRecordError):
        decode(KEY, data)


def sealed(rest: bytes) -> bytes:
    """Return a record with this inside, and the checksum that belongs to it: somebody knows how they are written."""
    return b"scp5" + crc32(rest).to_bytes(4) + rest


@given(st.binary(max_size=80))
def test_a_checksum_that_is_right_makes_no_record(rest: bytes) -> None:
    with pytest.raises(DamagedRecordError):
        decode(KEY, sealed(rest))


#: Where the terms stand in what describes a response, and in which order.
TERMS = 2
IN_ORDER = tuple(Terms.__annotations__)


def inside(data: bytes) -> tuple[bytes, list[object], bytes]:
    """Return what stands before the description of a record, the description, and what stands behind it."""
    key, meta, _ = (int.from_bytes(data[at : at + 4]) for at in (8, 12, 16))
    return data[20 : 20 + key], msgpack.decode(data[20 + key : 20 + key + meta]), data[20 + key + meta :]


def composed(key: bytes, meta: object, behind: bytes) -> bytes:
    """Return a record that says this."""
    said = msgpack.encode(meta)
    return sealed(len(key).to_bytes(4) + len(said).to_bytes(4) + (0).to_bytes(4) + key + said + behind)


PLACES = st.integers(0, 5) | st.sampled_from(IN_ORDER)
SAYABLE = VALUES | st.binary(max_size=5)


@given(st.sampled_from(list(RECORDS.values())), PLACES, SAYABLE)
@example(RECORDS["response"], "born", 2**64 - 1)
@example(RECORDS["response"], "born", float("nan"))
@example(RECORDS["response"], "stale_if_error", float("-inf"))
@example(RECORDS["response"], "etag", "\u20ac")
@example(RECORDS["index"], 3, {"a": True})
@example(RECORDS["group"], 1, float("inf"))
def test_a_description_that_says_anything_gives_a_whole_record_or_none(
    record: Record, place: int | str, value: object
) -> None:
    key, meta, behind = inside(encode(KEY, record))
    if isinstance(place, int):
        meta[place:] = [value, *meta[place + 1 :]]
    elif isinstance(record, StoredResponse | Variant):
        meta[TERMS][IN_ORDER.index(place)] = value  # type: ignore[index]  # they are a list
    try:
        data = composed(key, meta, behind)
    except OverflowError:
        return  # MessagePack has no such number
    try:
        found = decode(KEY, data)
    except DamagedRecordError:
        return
    if not isinstance(found, VaryIndex | GroupMark):
        response = found.response if isinstance(found, Variant) else found
        assert b"hit" in response.tail(response.terms.born), "it can be served"
