"""Is a stored response still valid, after what was purged?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.config.units import Seconds, UnixTime
from proxy.message.fields import Fields
from proxy.message.framing import NO_BODY
from proxy.message.heads import Request
from proxy.policy.key import PrimaryKey, primary_key
from proxy.policy.purging import Kind, Purge, PurgeLog, Rule, concerned, subject_of
from proxy.policy.stored import LATEST, StoredResponse, Terms
from proxy.policy.tags import EVERY_TAG

NOW = UnixTime(1000)
TERMS = Terms(
    born=UnixTime(900),
    lifetime=Seconds(600),
    explicit=True,
    no_cache=False,
    must_revalidate=False,
    stale_while_revalidate=Seconds(60),
    stale_if_error=None,
    etag=b'"a"',
    last_modified=None,
    vary=(),
)


def key(target: bytes = b"/blog/1?page=2", host: bytes = b"a.test", scheme: bytes = b"http") -> PrimaryKey:
    fields = Fields([(b"X-Forwarded-Proto", scheme)])
    return primary_key(b"scope", Request(b"GET", target, fields, NO_BODY, host, scheme, trusted=scheme == b"https"))


def stored(*tags: bytes, number: int = 0) -> StoredResponse:
    return StoredResponse(200, b"HTTP/1.1 200 OK\r\n", b"body", TERMS, None, tags, number)


def purged(*rules: Rule, soft: bool = False) -> PurgeLog:
    log = PurgeLog()
    log.add(Purge(rules, soft, UnixTime(950)))
    return log


MATCHING = [
    pytest.param(Rule(Kind.ALL), True, id="everything"),
    pytest.param(Rule(Kind.HOST, b"", b"a.test"), True, id="host"),
    pytest.param(Rule(Kind.HOST, b"", b"b.test"), False, id="other-host"),
    pytest.param(Rule(Kind.URL, b"/blog/1?page=2", b"a.test"), True, id="url"),
    pytest.param(Rule(Kind.URL, b"/blog/1?page=2", b"b.test"), False, id="url-of-another-host"),
    pytest.param(Rule(Kind.URL, b"/blog/1", b"a.test"), False, id="url-without-its-query"),
    pytest.param(Rule(Kind.PATH, b"/blog/1", b"a.test"), True, id="path"),
    pytest.param(Rule(Kind.PATH, b"/blog/", b"a.test"), False, id="other-path"),
    pytest.param(Rule(Kind.PREFIX, b"/blog/"), True, id="prefix"),
    pytest.param(Rule(Kind.PREFIX, b"/blog/", b"a.test"), True, id="prefix-of-the-host"),
    pytest.param(Rule(Kind.PREFIX, b"/blog/", b"b.test"), False, id="prefix-of-another-host"),
    pytest.param(Rule(Kind.PREFIX, b"/blog/1?"), False, id="prefix-of-the-path-only"),
    pytest.param(Rule(Kind.PREFIX, b"/blog/11111"), False, id="longer-than-the-path"),
    pytest.param(Rule(Kind.GLOB, b"/*/1"), True, id="glob"),
    pytest.param(Rule(Kind.GLOB, b"/*/2"), False, id="other-glob"),
    pytest.param(Rule(Kind.GLOB, b"/*/1", b"b.test"), False, id="glob-of-another-host"),
    pytest.param(Rule(Kind.TAG, b"one"), True, id="tag"),
    pytest.param(Rule(Kind.TAG, b"one", b"a.test"), True, id="tag-of-the-host"),
    pytest.param(Rule(Kind.TAG, b"one", b"b.test"), False, id="tag-of-another-host"),
    pytest.param(Rule(Kind.TAG, b"two"), False, id="other-tag"),
]


@pytest.mark.parametrize("scheme", [b"http", b"https"])
@pytest.mark.parametrize(("rule", "matches"), MATCHING)
def test_what_a_hard_purge_is_about_is_gone(rule: Rule, matches: bool, scheme: bytes) -> None:
    page = stored(b"one")
    judged = purged(rule).judge(key(scheme=scheme), page, NOW)
    assert judged is (None if matches else page)
    assert (purged(rule).judge_regardless(key(), stored(b"one", number=LATEST), NOW) is None) is matches


@pytest.mark.parametrize(("rule", "matches"), MATCHING)
def test_what_a_soft_purge_is_about_is_stale(rule: Rule, matches: bool) -> None:
    log = purged(rule, soft=True)
    judged = log.judge(key(), stored(b"one"), NOW)
    assert judged is not None
    assert judged.purged is matches
    assert judged.fresh_until == (950 if matches else 1500), "stale since the purge, as its windows count"
    assert log.judge(key(), judged, NOW) is judged, "and known by one comparison"


@pytest.mark.parametrize(("rule", "matches"), MATCHING)
def test_flights_that_it_may_be_about(rule: Rule, matches: bool) -> None:
    # Of what is on its way nobody knows the tags.
    expected = matches or rule == Rule(Kind.TAG, b"two")
    assert concerned(Purge((rule,)))(key()) is expected


def test_what_was_fetched_after_a_purge_is_not_touched_by_it() -> None:
    log = purged(Rule(Kind.ALL))
    page = stored(number=log.number)
    assert log.judge(key(), page, NOW) is page


def test_a_soft_purge_told_by_a_clock_that_is_ahead() -> None:
    log = PurgeLog()
    log.add(Purge((Rule(Kind.ALL),), soft=True, at=UnixTime(5000)))
    judged = log.judge(key(), stored(), NOW)
    assert judged is not None
    assert judged.fresh_until == NOW


def test_a_soft_purge_makes_nothing_fresh() -> None:
    terms = replace(TERMS, lifetime=Seconds(10))
    judged = purged(Rule(Kind.ALL), soft=True).judge(key(), StoredResponse(200, b"", b"", terms, number=0), NOW)
    assert judged is not None
    assert judged.terms.lifetime == 10


def test_a_tag_that_many_stand_for() -> None:
    assert purged(Rule(Kind.TAG, b"any")).judge(key(), stored(EVERY_TAG), NOW) is None
    page = stored(EVERY_TAG)
    assert purged(Rule(Kind.TAG, b"any", b"b.test")).judge(key(), page, NOW) is page


def test_a_hard_purge_goes_before_a_soft_one() -> None:
    log = purged(Rule(Kind.TAG, b"one"))
    log.add(Purge((Rule(Kind.TAG, b"one"),), soft=True))
    assert log.judge(key(), stored(b"one"), NOW) is None


def test_the_same_again_takes_no_more_room() -> None:
    log = PurgeLog()
    for kind in (Kind.PREFIX, Kind.GLOB, Kind.TAG):
        for _ in range(3):
            log.add(Purge((Rule(kind, b"/x*"),)))
    assert (len(log), log.number) == (3, 9)


def test_all_that_was_stored_before_rules_that_are_dropped_is_gone() -> None:
    log = PurgeLog(most=2)
    for tag in (b"a", b"b", b"c"):
        log.add(Purge((Rule(Kind.TAG, tag),)))
    assert len(log) == 2
    assert log.judge(key(), stored(number=0), NOW) is None, "it could have had the tag"
    page = stored(number=1)
    assert log.judge(key(), page, NOW) is page


def test_there_are_not_too_many_globs_to_try() -> None:
    log = PurgeLog(most_globs=2)
    for glob in (b"/a*", b"/b*", b"/c*"):
        log.add(Purge((Rule(Kind.GLOB, glob),)))
    assert (len(log), log.floor) == (2, 1)


def test_prefixes_of_one_length() -> None:
    log = PurgeLog(most=1)
    log.add(Purge((Rule(Kind.PREFIX, b"/a"),)))
    log.add(Purge((Rule(Kind.PREFIX, b"/b"),)))
    assert log.judge(key(b"/b/1"), stored(number=1), NOW) is None
    assert log.judge(key(b"/a/1"), stored(number=1), NOW) is not None


def test_a_hard_purge_of_everything_needs_no_rule() -> None:
    log = PurgeLog()
    log.add(Purge((Rule(Kind.TAG, b"a"), Rule(Kind.GLOB, b"/*"), Rule(Kind.PREFIX, b"/"))))
    log.add(Purge((Rule(Kind.ALL),)))
    assert (len(log), log.floor, log.number) == (0, 2, 2)


def test_a_key_for_several_queries_is_of_its_path() -> None:
    assert subject_of(PrimaryKey(b"0:4:http6:a.test4:/x#y")).path == b"/x"


def test_a_key_that_is_none_of_ours_is_of_no_host() -> None:
    assert subject_of(PrimaryKey(b"page")).host == b""


# A model: what was purged after it was fetched is gone, and everything else stays.

_TARGETS = [b"/", b"/a", b"/a/b", b"/a/b?q=1", b"/c"]
_HOSTS = [b"a.test", b"b.test"]
_TAGS = [b"x", b"y"]
_RULES = st.one_of(
    st.just(Rule(Kind.ALL)),
    st.builds(Rule, st.just(Kind.HOST), st.just(b""), st.sampled_from(_HOSTS)),
    st.builds(Rule, st.just(Kind.URL), st.sampled_from(_TARGETS), st.sampled_from(_HOSTS)),
    st.builds(Rule, st.just(Kind.PREFIX), st.sampled_from([b"/a", b"/a/", b"/"]), st.sampled_from([b"", *_HOSTS])),
    st.builds(Rule, st.just(Kind.GLOB), st.sampled_from([b"/*", b"*/b"]), st.sampled_from([b"", *_HOSTS])),
    st.builds(Rule, st.just(Kind.TAG), st.sampled_from(_TAGS), st.sampled_from([b"", *_HOSTS])),
)


def meant(rule: Rule, host: bytes, target: bytes, tags: tuple[bytes, ...]) -> bool:
    path = target.partition(b"?")[0]
    if rule.host and rule.host != host:
        return False
    return (
        {
            Kind.ALL: True,
            Kind.HOST: True,
            Kind.URL: rule.what == target,
            Kind.PREFIX: path.startswith(rule.what),
            Kind.GLOB: path.endswith(rule.what.strip(b"*") or b"") and path.startswith(b"/"),
            Kind.TAG: rule.what in tags,
        }[rule.kind]
        if rule.what != b"/*"
        else True
    )


@given(st.lists(st.tuples(_RULES, st.booleans(), st.integers(0, 3)), max_size=12), st.integers(1, 4))
def test_what_is_purged_never_comes_back_and_all_else_stays(steps: list[tuple[Rule, bool, int]], most: int) -> None:
    roomy, tight = PurgeLog(), PurgeLog(most=most)
    pages = {}
    gone = set()
    for rule, soft, choice in steps:
        host, target = _HOSTS[choice % 2], _TARGETS[(choice * 3 + len(pages)) % len(_TARGETS)]
        tags = tuple(_TAGS[: choice % 3])
        pages[len(pages)] = (host, target, tags, roomy.number)
        for log in (roomy, tight):
            log.add(Purge((rule,), soft))
        for name, (host, target, tags, _) in pages.items():
            if not soft and meant(rule, host, target, tags):
                gone.add(name)
        for name, (host, target, tags, number) in pages.items():
            left = roomy.judge(key(target, host), stored(*tags, number=number), NOW)
            assert (left is None) is (name in gone)
            if name in gone:
                assert tight.judge(key(target, host), stored(*tags, number=number), NOW) is None
