"""Which tags does a response have?"""

from __future__ import annotations

import pytest

from proxy.message.fields import Fields, RawField
from proxy.policy.tags import EVERY_TAG, LONGEST_TAG, MOST_BYTES, MOST_TAGS, said_by_blanks, said_in, tags_of


@pytest.mark.parametrize(
    ("fields", "tags"),
    [
        pytest.param([], (), id="none"),
        pytest.param([(b"Surrogate-Key", b"a b,c  d")], (b"a", b"b,c", b"d"), id="fastly-separates-by-blanks"),
        pytest.param([(b"Surrogate-Key", b"a"), (b"surrogate-key", b"b")], (b"a", b"b"), id="several-lines"),
        pytest.param([(b"Cache-Tag", b"a,b , c")], (b"a", b"b", b"c"), id="cloudflare-separates-by-commas"),
        pytest.param([(b"xkey", b"a b"), (b"xkey", b"c,d")], (b"a", b"b", b"c", b"d"), id="varnish-takes-both"),
        pytest.param([(b"X-Cache-Tags", b"a,b")], (b"a", b"b"), id="x-cache-tags"),
        pytest.param([(b"Cache-Groups", b'"a b", "c"')], (b"a b", b"c"), id="groups-are-tags-too"),
        pytest.param([(b"Cache-Groups", b"no string")], (), id="groups-that-are-none"),
        pytest.param([(b"Cache-Tag", b"a,,a"), (b"xkey", b"a")], (b"a",), id="each-once"),
        pytest.param([(b"Cache-Tag", b" , ")], (), id="empty"),
        pytest.param([(b"xkey", b"x" * LONGEST_TAG)], (b"x" * LONGEST_TAG,), id="as-long-as-may-be"),
        pytest.param([(b"xkey", b"x" * (LONGEST_TAG + 1))], (EVERY_TAG,), id="too-long-a-tag"),
        pytest.param([(b"xkey", b" ".join(b"%d" % n for n in range(MOST_TAGS + 1)))], (EVERY_TAG,), id="too-many"),
        pytest.param(
            [(b"xkey", b" ".join(b"%d" % n + b"x" * 1000 for n in range(MOST_BYTES // 1000 + 1)))],
            (EVERY_TAG,),
            id="too-much",
        ),
    ],
)
def test_the_tags_of_a_response(fields: list[RawField], tags: tuple[bytes, ...]) -> None:
    assert tags_of(Fields(fields)) == tags


def test_tags_in_requests() -> None:
    assert said_in(b"a, b c,,a") == (b"a", b"b", b"c")
    assert said_by_blanks(b" a  b,c ") == (b"a", b"b,c")
