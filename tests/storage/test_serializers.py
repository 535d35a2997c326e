"""Does every value come back as it was, and is everything that is no value of ours refused?"""

from __future__ import annotations

import collections
import enum
import math
import pickle
import struct
import zlib
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.storage.pickled import PickleSerializer
from proxy.storage.serializers import TypedSerializer, UnreadableValueError

TYPED = TypedSerializer()
PARIS = ZoneInfo("Europe/Paris")


def there_and_back(value: object) -> object:
    return TYPED.loads(TYPED.dumps(value))


def same(one: object, other: object) -> bool:
    """Compare values and types, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            same(a, b) and same(one[a], other[b]) for a, b in zip(one, other, strict=True)
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return repr(one) == repr(other) if not isinstance(one, set | frozenset) else one == other


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="none"),
        pytest.param(True, id="true"),
        pytest.param(False, id="false"),
        pytest.param(0, id="zero"),
        pytest.param(2**63 - 1, id="largest-of-64-bits"),
        pytest.param(-(2**63), id="smallest-of-64-bits"),
        pytest.param(2**63, id="above-64-bits"),
        pytest.param(-(2**63) - 1, id="below-64-bits"),
        pytest.param(2**64, id="65-bits"),
        pytest.param(-(3**5000), id="thousands-of-digits"),
        pytest.param(1.5, id="float"),
        pytest.param(-0.0, id="negative-zero"),
        pytest.param(math.inf, id="infinite"),
        pytest.param(math.nan, id="not-a-number"),
        pytest.param("", id="no-text"),
        pytest.param("héllo \U0001f600\x00", id="text"),
        pytest.param("\ud800", id="half-a-surrogate"),
        pytest.param(b"", id="no-bytes"),
        pytest.param(b"17", id="bytes-that-read-as-a-number"),
        pytest.param("17", id="text-that-reads-as-a-number"),
        pytest.param(datetime(2026, 1, 2, 3, 4, 5, 678901), id="naive"),  # noqa: DTZ001
        pytest.param(datetime(2026, 1, 2, tzinfo=UTC), id="utc"),
        pytest.param(datetime(1883, 1, 2, tzinfo=timezone(timedelta(hours=-5, minutes=30, seconds=7))), id="offset"),
        pytest.param(datetime(2026, 10, 25, 2, 30, tzinfo=PARIS), id="zone"),
        pytest.param(datetime(2026, 10, 25, 2, 30, tzinfo=PARIS, fold=1), id="zone-fold"),
        pytest.param(datetime.max, id="latest"),  # noqa: DTZ901
        pytest.param(date(1, 1, 1), id="date"),
        pytest.param(time(23, 59, 59, 999999), id="time"),
        pytest.param(time(1, tzinfo=UTC), id="time-utc"),
        pytest.param(time(1, tzinfo=PARIS), id="time-zone"),
        pytest.param(timedelta.min, id="shortest"),
        pytest.param(timedelta(days=-1, microseconds=1), id="length"),
        pytest.param(Decimal("1.2300"), id="decimal"),
        pytest.param(Decimal("-Infinity"), id="decimal-infinite"),
        pytest.param(Decimal("sNaN"), id="decimal-nan"),
        pytest.param(UUID(int=2**127 + 1), id="uuid"),
        pytest.param([], id="no-list"),
        pytest.param((), id="no-tuple"),
        pytest.param({}, id="no-dict"),
        pytest.param(set(), id="no-set"),
        pytest.param(frozenset({frozenset({1}), (1, 2)}), id="frozenset"),
        pytest.param([1, (2, [3, {4, 5}]), {"a": (None,)}], id="nested"),
        pytest.param({1: "a", "1": "b", b"1": "c", None: 0, (1, 2): 3, 1.5: 4}, id="keys"),
        pytest.param({date(2026, 1, 1): 1, UUID(int=1): 2, Decimal(7): 3, frozenset({1}): 4}, id="typed-keys"),
        pytest.param({True: 1, 2: False, 2**80: 3}, id="bools-are-no-numbers"),
    ],
)
def test_it_comes_back(value: object) -> None:
    assert same(there_and_back(value), value)


NUMBERS = st.integers() | st.booleans() | st.floats(allow_nan=False)
TIMES = st.datetimes() | st.dates() | st.times() | st.timedeltas() | st.datetimes(timezones=st.timezones())
HASHABLE = st.recursive(
    st.none() | NUMBERS | st.text() | st.binary() | TIMES | st.uuids() | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
VALUES = st.recursive(
    HASHABLE | st.sets(HASHABLE, max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HASHABLE, inner, max_size=4),
    max_leaves=10,
)


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_any_value_comes_back(value: object) -> None:
    assert there_and_back(value) == value
    assert type(there_and_back(value)) is type(value)


@pytest.mark.parametrize(
    ("value", "kept"), [(1, 1), (-7, -7), (2**63 - 1, 2**63 - 1), (True, bytes), (2**63, bytes), ("1", bytes)]
)
def test_numbers_of_64_bits_stay_numbers(value: object, kept: object) -> None:
    dumped = TYPED.dumps(value)
    assert type(dumped) is kept if isinstance(kept, type) else dumped is value


def test_it_is_a_copy() -> None:
    value = {"a": [1]}
    dumped = TYPED.dumps(value)
    value["a"].append(2)
    assert TYPED.loads(dumped) == {"a": [1]}
    assert TYPED.loads(dumped) is not TYPED.loads(dumped)


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "named"),
    [
        pytest.param(object(), "type object cannot", id="object"),
        pytest.param([{"a": len}], "builtin_function_or_method", id="within"),
        pytest.param({object(): 1}, "type object cannot", id="key"),
        pytest.param(Colour.RED, r"test_serializers\.Colour", id="a-kind-of-int"),
        pytest.param(Text("x"), r"test_serializers\.Text", id="a-kind-of-text"),
        pytest.param(collections.OrderedDict(), r"collections\.OrderedDict", id="a-kind-of-dict"),
        pytest.param(1j, "type complex", id="complex"),
        pytest.param(PARIS, r"zoneinfo\.ZoneInfo", id="zone"),
    ],
)
def test_other_types_are_refused_with_a_remedy(value: object, named: str) -> None:
    with pytest.raises(TypeError, match=f"{named}.*SERIALIZER"):
        TYPED.dumps(value)


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: (inner,)], ids=["list", "tuple"])
def test_what_is_nested_without_end_is_refused(wrap) -> None:
    value: object = 1
    for _ in range(100_000):
        value = wrap(value)
    with pytest.raises(ValueError, match=r"nest|recursion"):
        TYPED.dumps(value)


class Mine:
    """Tells when somebody unpickles it."""

    touched: list[int] = []  # noqa: RUF012

    def __reduce__(self) -> tuple:
        return (Mine.touched.append, (1,))


def enveloped(payload: bytes) -> bytes:
    return struct.pack(">2sQI", b"\xc1\x01", len(payload), zlib.crc32(payload)) + payload


GOOD = TYPED.dumps({"a": [1, 2, 3], "b": (None, "text")})


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xc1", id="too-short"),
        pytest.param(b"x" * 100, id="foreign"),
        pytest.param(msgpack.packb({"a": 1}), id="without-envelope"),
        pytest.param(pickle.dumps(Mine()), id="pickle"),
        pytest.param(enveloped(b""), id="empty"),
        pytest.param(enveloped(b"\xc1"), id="no-messagepack"),
        pytest.param(enveloped(b"\x93\x01"), id="too-few-items"),
        pytest.param(enveloped(b"\x01\x02"), id="too-many-items"),
        pytest.param(enveloped(msgpack.packb(msgpack.ExtType(99, b""))), id="unknown-type"),
        pytest.param(enveloped(msgpack.packb(msgpack.ExtType(5, b"\x90"))), id="no-datetime"),
        pytest.param(enveloped(msgpack.packb(msgpack.ExtType(9, b"x"))), id="no-decimal"),
        pytest.param(enveloped(msgpack.packb(msgpack.ExtType(10, b"x"))), id="no-uuid"),
        pytest.param(enveloped(msgpack.packb(msgpack.ExtType(3, b"\x91\x90"))), id="set-of-a-list"),
        pytest.param(enveloped(b"\x81\x90\x01"), id="list-as-key"),
        pytest.param(enveloped(b"\xdd\xff\xff\xff\xff"), id="a-list-of-four-thousand-million"),
        pytest.param(enveloped(b"\x91" * 100_000 + b"\x01"), id="nested-without-end"),
        pytest.param(b"\xc1\x02" + GOOD[2:], id="another-version"),
    ],
)
def test_what_is_no_value_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableValueError):
        TYPED.loads(data)
    assert Mine.touched == []


def test_every_cut_and_every_flipped_bit_is_noticed() -> None:
    for cut in range(len(GOOD)):
        with pytest.raises(UnreadableValueError):
            TYPED.loads(GOOD[:cut])
    for bit in range(len(GOOD) * 8):
        damaged = bytearray(GOOD)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(UnreadableValueError):
            TYPED.loads(bytes(damaged))
    with pytest.raises(UnreadableValueError):
        TYPED.loads(GOOD + b"\x00")


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_another_error(payload: bytes) -> None:
    for data in (payload, enveloped(payload)):
        try:
            TYPED.loads(data)
        except UnreadableValueError:
            continue


def test_pickles_are_read_only_by_the_class_that_is_named_for_it() -> None:
    with pytest.warns(RuntimeWarning, match="runs whatever code"):
        pickled = PickleSerializer()
    assert pickled.dumps(7) == 7
    assert pickle.loads(pickled.dumps(True)) is True
    assert pickled.loads(pickled.dumps({"a": Decimal(1)})) == {"a": Decimal(1)}
    assert pickled.loads(7) == 7
