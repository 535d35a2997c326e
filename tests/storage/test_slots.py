"""Do variants keep to their slots: never more than there are, never two in one, and all kept while there is room?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.key import PrimaryKey, VariantKey
from proxy.storage.codec import VaryIndex
from proxy.storage.slots import digest_of, slot_key, slot_of, with_variant

SPECS = [(b"accept-language",), (b"cookie",), (b"accept-language", b"cookie"), (b"x-a",), (b"x-b",)]
PAGE = PrimaryKey(b"page")


@given(st.integers(1, 9), st.lists(st.tuples(st.sampled_from(SPECS), st.integers(0, 12)), min_size=1))
def test_every_variant_has_a_slot_of_its_own_while_there_is_room(most: int, stored: list[tuple[object, int]]) -> None:
    index = VaryIndex(b"0f", ())
    seen: set[str] = set()
    for spec, number in stored:
        digest = digest_of(VariantKey(b"%d" % number))
        before = slot_of(index, digest)
        index = with_variant(index, spec, digest, most)
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
    assert set(with_variant(index, (b"cookie",), digest_of(VariantKey(b"v")), 2).slots.values()) == {0, 1}


@given(st.binary(), st.binary(), st.integers(1, 300))
def test_a_slot_of_one_page_is_none_of_another(one: bytes, other: bytes, most: int) -> None:
    digest = digest_of(VariantKey(b"v"))
    same = slot_key(PrimaryKey(one), digest, None, most) == slot_key(PrimaryKey(other), digest, None, most)
    assert same == (one == other)
