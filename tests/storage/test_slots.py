"""Do variants keep to their slots: never more than there are, never two in one, and all kept while there is room?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.units import UnixTime
from proxy.errors import StorageError
from proxy.policy.key import PrimaryKey, VariantKey
from proxy.policy.stored import StoredResponse
from proxy.storage.codec import Record, Variant, VaryIndex, read_tags
from proxy.storage.slots import digest_of, place_of, slot_key, slot_of, tagged, tags_of, with_variant
from tests.storage.test_responses import LATER, stored

SPECS = [(b"accept-language",), (b"cookie",), (b"accept-language", b"cookie"), (b"x-a",), (b"x-b",)]
PAGE = PrimaryKey(b"page")


@given(st.integers(1, 9), st.lists(st.tuples(st.sampled_from(SPECS), st.integers(0, 12)), min_size=1))
def test_every_variant_has_a_slot_of_its_own_while_there_is_room(
    most: int, variants: list[tuple[tuple[bytes, ...], int]]
) -> None:
    index = VaryIndex(b"0f", ())
    seen: set[str] = set()
    for spec, number in variants:
        digest = digest_of(VariantKey(b"%d" % number))
        before = slot_of(index, digest)
        index = with_variant(index, stored(b"page", spec), LATER, digest, most)
        seen.add(digest)
        slots = list(index.slots.values())
        assert len(set(slots)) == len(slots) == min(len(seen), len(slots)) <= most
        assert all(0 <= slot < most for slot in slots)
        assert slot_of(index, digest) is not None
        assert before in {None, slot_of(index, digest)}, "it stays where it is"
        assert index.specs[0] == spec
        assert len(set(index.specs)) == len(index.specs) <= 4
        if len(seen) <= most:
            assert all(slot_of(index, one) is not None for one in seen)
    assert index.generation == b"0f"


def test_slots_beyond_a_smaller_limit_are_given_up() -> None:
    index = VaryIndex(b"0f", (), {"a" * 16: 7, "b" * 16: 0})
    page = stored(b"page", (b"cookie",))
    assert set(with_variant(index, page, LATER, digest_of(VariantKey(b"v")), 2).slots.values()) == {0, 1}


def tagged_as(tag: int) -> StoredResponse:
    kept = stored(b"page", (b"accept-language",))
    return StoredResponse(200, kept.head + b'ETag: "%d"\r\n' % tag, kept.body, kept.terms)


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 14)), max_size=40))
def test_the_tags_in_an_index_are_those_stored_last_each_with_its_latest_variant(
    most: int, stored_as: list[tuple[int, int]]
) -> None:
    index = VaryIndex(b"0f", ())
    for number, tag in stored_as:
        index = with_variant(index, tagged_as(tag), LATER, digest_of(VariantKey(b"%d" % number)), most)
        assert read_tags(index.tags)[0].tag == b'"%d"' % tag
        assert place_of(PAGE, b'"%d"' % tag, index, most) is not None
    tags = [one.tag for one in read_tags(index.tags)]
    assert len(set(tags)) == len(tags) <= min(8, most)
    latest = list(dict.fromkeys(b'"%d"' % tag for _, tag in reversed(stored_as)))
    assert [tag for tag in latest if tag in tags] == tags, "the latest first"
    assert all(one.variant in index.slots for one in read_tags(index.tags))


def test_a_variant_without_a_tag_takes_away_the_one_it_had() -> None:
    digest = digest_of(VariantKey(b"v"))
    index = with_variant(VaryIndex(b"0f", ()), tagged_as(1), LATER, digest, 9)
    assert tags_of(index, UnixTime(0)) == (b'"1"',)
    index = with_variant(index, stored(b"page", (b"accept-language",)), LATER, digest, 9)
    assert tags_of(index, UnixTime(0)) == ()


def test_a_tag_is_not_sent_any_more_when_its_variant_has_ended() -> None:
    index = with_variant(VaryIndex(b"0f", ()), tagged_as(1), LATER, digest_of(VariantKey(b"v")), 9)
    assert (tags_of(index, UnixTime(LATER - 1)), tags_of(index, LATER)) == ((b'"1"',), ())
    assert place_of(PAGE, b'"2"', index, 9) is None


DIGEST = digest_of(VariantKey(b"v"))
INDEX = with_variant(VaryIndex(b"0f", ()), tagged_as(1), LATER, DIGEST, 9)


@pytest.mark.parametrize(
    ("index", "record", "is_it"),
    [
        pytest.param(INDEX, Variant(b"0f", DIGEST, tagged_as(1)), True, id="it"),
        pytest.param(INDEX, Variant(b"0f", DIGEST, tagged_as(2)), False, id="it-has-changed"),
        pytest.param(INDEX, Variant(b"0e", DIGEST, tagged_as(1)), False, id="of-an-index-that-is-gone"),
        pytest.param(INDEX, None, False, id="gone"),
        pytest.param(INDEX, tagged_as(1), False, id="no-variant"),
        pytest.param(INDEX, StorageError("away"), False, id="not-known"),
        pytest.param(None, Variant(b"0f", DIGEST, tagged_as(1)), False, id="invalidated"),
        pytest.param(StorageError("away"), Variant(b"0f", DIGEST, tagged_as(1)), False, id="index-not-known"),
    ],
)
def test_what_lies_in_a_slot_is_the_variant_named_only_if_it_still_is(
    index: Record | StorageError | None, record: Record | StorageError | None, is_it: bool
) -> None:
    assert (tagged(index, record, b'"1"') is not None) == is_it


@given(st.binary(), st.binary(), st.integers(1, 300))
def test_a_slot_of_one_page_is_none_of_another(one: bytes, other: bytes, most: int) -> None:
    digest = digest_of(VariantKey(b"v"))
    same = slot_key(PrimaryKey(one), digest, None, most) == slot_key(PrimaryKey(other), digest, None, most)
    assert same == (one == other)
