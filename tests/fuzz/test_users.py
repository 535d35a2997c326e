"""No byte made for one user reaches another, unless the response said for whom it is.

Crowds of users known by cookies, Authorization and API keys, and anonymous clients, against storages in memory, behind
bytes, and shared by two drivers. ``owners`` judges every byte of what they get by the record of the origin. Around each
step an anonymous client looks what is stored for him: users may not end his hits.

``SITECACHE_FUZZ=50`` in the environment has fifty times as many sequences tried.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.exchange.making import settled
from tests.fuzz.drawing import NOS, PLANS, planned, steps
from tests.fuzz.owners import Got, Visit, judge
from tests.fuzz.stage import Shared, Stage
from tests.fuzz.users import USERS, WORLDS, Asked, Made, Plan, Said, fields_of

TIMES = int(os.environ.get("SITECACHE_FUZZ", "1"))
EXAMPLES = 12 * TIMES


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Shared(folder)


@pytest.mark.rfc(9111, "3.5")
@pytest.mark.parametrize("kind", ["memory", "remote", "shared"])
@pytest.mark.parametrize("world", list(WORLDS))
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
async def test_no_byte_made_for_one_user_reaches_another(
    world: str, kind: str, shared: Shared, data: st.DataObject
) -> None:
    stage = Stage(world, kind, shared if kind == "shared" else None)
    stage.record.plan = data.draw(PLANS, "first plan")
    for plan, crowd, waiting, seconds in data.draw(steps(world), "steps"):
        stage.record.plan = planned(stage.record.plan, plan)
        await stage.step(crowd, waiting)
        stage.clock.turn(seconds)
    await stage.end()


NOTHING = Said()
PUBLIC = Said(words=frozenset({"public"}))
LASTS = Said(max_age=60)
SHARED = Said(s_maxage=60, words=frozenset({"public"}))
KNOWN = ("alice", "carol", "dave")
LIFETIMES = ((None, None), (0, None), (60, None), (None, 0), (None, 60), (60, 0))
SENTENCES = ((), ("no-cache",), ("public",), ("must-revalidate",), ("private",), ("public", "no-cache"))
COMBINED = [
    Said(max_age=max_age, s_maxage=s_maxage, words=frozenset(words), tag="equal")
    for (max_age, s_maxage), words in product(LIFETIMES, SENTENCES)
]
VARIED = [
    replace(said, vary=vary)
    for said, vary in product(COMBINED, ("Cookie", "Authorization", "X-Api-Key", "Accept-Language"))
    if said.s_maxage is None
]
REFUSALS = [replace(said, status=status) for said, status in product(COMBINED, (401, 403, 407)) if said.stated]
ODDLY_SAID = [
    Said(max_age=60, words=frozenset({word}), between=between, tag="equal")
    for word, between in product(("no-store", "no-cache", "private", "public"), ("; ", " ", " ; ", "|"))
]
OTHERWISE = [Said(no=no, tag="equal") for no in NOS] + [Said(kind="application/json")]
EVERYBODY = ("anonymous", "alice", "carol", "dave", "erin", "alice-and-carol")


def visit_of(user: str, **more: str) -> Mapping[str, Any]:
    return {"user": user, "target": "/a", "language": "en", "extra": "", "wish": "", "driver": 0, **more}


@pytest.mark.rfc(9111, "4.1")
@pytest.mark.parametrize(
    "sayings",
    [
        pytest.param(VARIED, id="vary"),
        pytest.param(REFUSALS, id="refusals"),
        pytest.param(ODDLY_SAID + OTHERWISE, id="oddly"),
    ],
)
@pytest.mark.parametrize("user", ["anonymous", *KNOWN])
async def test_what_one_is_told_reaches_whom_it_says(user: str, sayings: Sequence[Said]) -> None:
    """One asks, and then everybody; the origin has something else for each by then."""
    for said in sayings:
        stage = Stage("default", "memory")
        stage.record.plan = Plan(said)
        await stage.step([visit_of(user)], 0)
        stage.record.plan = Plan(replace(said, words=frozenset({"private"}), between=", "))
        for one in EVERYBODY:
            await stage.step([visit_of(one)], 0)


@pytest.mark.rfc(9111, "3.2")
@pytest.mark.parametrize("method", ["GET", "HEAD", "304"])
@pytest.mark.parametrize("user", KNOWN)
async def test_nothing_that_a_user_is_told_changes_what_others_get(user: str, method: str) -> None:
    """Whatever it says of caching: a response, one to HEAD, and a 304, where there is a page for everybody or none."""
    # What §3.5 lets be stored can be freshened in the name of who has credentials, too.
    before: Sequence[Said | None] = [SHARED if user != "alice" and method == "304" else LASTS]
    others = [other for other in ("anonymous", *KNOWN) if other != user]
    reload = {"extra": "HEAD" if method == "HEAD" else "", "wish": "no-cache"}
    for first, said in product([None, *before] if method == "GET" else before, COMBINED):
        stage = Stage("default", "memory")
        plans = [] if first is None else [(Plan(replace(first, tag="equal")), ["anonymous"], {})]
        plans.append((Plan(said, holds=method == "304"), [user], reload))
        plans.append((Plan(Said()), others, {}))
        for plan, users, more in plans:
            stage.record.plan = plan
            for one in users:
                await stage.step([visit_of(one, **more)], 0)


@pytest.mark.parametrize("kind", ["memory", "remote", "shared"])
@pytest.mark.parametrize("world", list(WORLDS))
@pytest.mark.parametrize("who", ["anonymous", "alice", "carol", "dave", "erin"])
async def test_what_is_for_everybody_is_a_hit_for(who: str, world: str, kind: str, shared: Shared) -> None:
    """The property above would hold of a proxy that never stores anything."""
    stage = Stage(world, kind, shared if kind == "shared" else None)
    stage.record.plan = Plan(Said(max_age=60, tag="equal"))
    for user in ("anonymous", who, "tracked", who):
        visit, client = stage.begin(user, "/a", "en", driver=stage.visits)
        await settled()
        stage.judge(visit, client)
    assert len(stage.record.made) == 1
    assert client.cache_status == "hit; ttl=60"
    if kind != "shared":
        assert stage._stored() == {0}
    await stage.end()


def made_for(user: str, said: Said, *lines: str, target: str = "/a", unchanged: bool = False) -> Made:
    asked = fields_of((*USERS[user], "accept-language: en", *lines))
    return Made(said, Asked(1, target, "GET", asked), unchanged)


PRIVATE = Said(words=frozenset({"private"}))
CHECKED = Said(max_age=60, words=frozenset({"must-revalidate"}))
BY_COOKIE = Said(vary="Cookie")
REFUSED = Said(max_age=60, words=frozenset({"public"}), status=401)
UNSAID = "a user's bytes reached another"
STRANGER = "nobody had said is for him"
_ANYBODY = ("anonymous", "tracked", "alice", "carol", "dave")


@pytest.mark.parametrize(
    ("maker", "said", "visitor", "why"),
    [
        *(pytest.param("anonymous", LASTS, who, None, id=f"lasts-{who}") for who in _ANYBODY),
        *(pytest.param("anonymous", PUBLIC, who, None, id=f"public-{who}") for who in _ANYBODY),
        pytest.param("anonymous", NOTHING, "tracked", None, id="analytics-are-nobody"),
        pytest.param("tracked", NOTHING, "anonymous", None, id="nobody-has-analytics"),
        pytest.param("anonymous", NOTHING, "alice", STRANGER, id="cookie-gets-the-operators"),
        pytest.param("anonymous", NOTHING, "carol", STRANGER, id="authorization-gets-the-operators"),
        pytest.param("anonymous", NOTHING, "erin", STRANGER, id="identity-gets-the-operators"),
        pytest.param("anonymous", BY_COOKIE, "carol", STRANGER, id="varies-by-another-field"),
        pytest.param("anonymous", BY_COOKIE, "alice", "another variant", id="another-cookie"),
        pytest.param("alice", BY_COOKIE, "alice", None, id="her-own-variant"),
        pytest.param("alice", BY_COOKIE, "alice-and-carol", STRANGER, id="her-cookie-and-more"),
        pytest.param("alice", NOTHING, "alice", UNSAID, id="her-own-that-nobody-said"),
        pytest.param("alice", LASTS, "bob", None, id="cookie-lasts"),
        pytest.param("alice", PUBLIC, "anonymous", None, id="cookie-public"),
        pytest.param("alice", Said(max_age=0), "anonymous", UNSAID, id="cookie-max-age-0"),
        pytest.param("alice", Said(s_maxage=0, max_age=60), "anonymous", UNSAID, id="cookie-s-maxage-0"),
        pytest.param("alice", Said(expires=0), "anonymous", UNSAID, id="cookie-expired"),
        pytest.param("alice", Said(max_age=60, words=frozenset({"no-cache"})), "bob", UNSAID, id="cookie-no-cache"),
        pytest.param("alice", Said(words=frozenset({"no-cache"}), tag="equal"), "bob", UNSAID, id="cookie-tag"),
        pytest.param("carol", LASTS, "anonymous", UNSAID, id="authorization-max-age"),
        pytest.param("carol", Said(s_maxage=60), "anonymous", None, id="authorization-s-maxage"),
        pytest.param("carol", CHECKED, "anonymous", None, id="authorization-must-revalidate"),
        pytest.param("carol", Said(max_age=0, words=CHECKED.words), "anonymous", UNSAID, id="authorization-max-age-0"),
        pytest.param("carol", Said(words=CHECKED.words), "anonymous", UNSAID, id="authorization-operators"),
        pytest.param("carol", BY_COOKIE, "anonymous", UNSAID, id="authorization-by-cookie"),
        pytest.param("dave", LASTS, "anonymous", UNSAID, id="key-max-age"),
        pytest.param("dave", PUBLIC, "anonymous", None, id="key-public"),
        pytest.param("erin", NOTHING, "anonymous", UNSAID, id="identity"),
        pytest.param("alice-and-carol", LASTS, "anonymous", UNSAID, id="both-max-age"),
        pytest.param("anonymous", REFUSED, "carol", "a refusal", id="refusal-authorization"),
        pytest.param("anonymous", REFUSED, "dave", "a refusal", id="refusal-key"),
        pytest.param("anonymous", REFUSED, "alice", "a refusal", id="refusal-cookie"),
        pytest.param("carol", REFUSED, "carl", "a refusal", id="refusal-of-others"),
        pytest.param("carol", REFUSED, "carol", None, id="refusal-of-the-same"),
        pytest.param("carol", REFUSED, "anonymous", None, id="refusal-of-nobody"),
        pytest.param("anonymous", PRIVATE, "anonymous", "is for one", id="private"),
        pytest.param("anonymous", Said(max_age=1, words=PRIVATE.words, between=";"), "bob", "is for one", id="odd"),
        pytest.param("anonymous", Said(no="pragma: no-cache"), "anonymous", "not to be kept", id="pragma"),
        pytest.param("alice", Said(max_age=60, words=PUBLIC.words, between="; "), "bob", UNSAID, id="odd-permits"),
        pytest.param("alice", Said(max_age=60, words=PUBLIC.words, between=","), "bob", None, id="comma-permits"),
        pytest.param("anonymous", Said(kind="application/json"), "anonymous", "nobody stated", id="data"),
        pytest.param("anonymous", Said(kind="application/json", max_age=9), "anonymous", None, id="data-that-lasts"),
    ],
)  # fmt: skip
def test_the_judge_is_not_blind(maker: str, said: Said, visitor: str, why: str | None) -> None:
    visit = Visit(2, fields_of((*USERS[visitor], "accept-language: en")), "/a")
    with nullcontext() if why is None else pytest.raises(AssertionError, match=why):
        judge("default", visit, Got(said.status, [0], 0 if said.vary else None, said), [made_for(maker, said)])


@pytest.mark.rfc(9111, "3.2")
def test_what_freshens_is_judged_by_itself() -> None:
    """RFC 9110 §15.4.5: a 304 says again what the 200 would have said, so alice's without a word is alice's."""
    record = [made_for("anonymous", LASTS), made_for("alice", NOTHING, unchanged=True)]
    visit = Visit(2, fields_of(("accept-language: en",)), "/a")
    judge("default", visit, Got(200, [0], None, LASTS), record)
    with pytest.raises(AssertionError, match=UNSAID):
        judge("default", visit, Got(200, [0, 1], None, LASTS), record)
