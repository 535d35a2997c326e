"""What users do, and what the origin says of it, drawn at random for ``test_users``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.stage import EXTRAS
from tests.fuzz.users import PATHS, USERS, Plan, Said


def often(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """Draw the usual one half of the time: where everything is odd at once, nothing is ever stored."""
    return st.sampled_from([usual] * len(others) + list(others))


NOS = ["pragma: no-cache", "x-accel-expires: 0", "x-accel-expires: @0", "surrogate-control: no-store"]
NOS += [
    'surrogate-control: max-age=0, content="ESI/1.0"',
    "edge-control: no-store",
    "edge-control: !no-store, max-age=0",
]
_ALL_WORDS = ["no-cache", "no-cache", "public", "private", "must-revalidate", "no-store"]
WORDS = st.one_of(
    st.just(frozenset()),
    st.sampled_from(_ALL_WORDS).map(lambda word: frozenset({word})),
    st.frozensets(st.sampled_from(_ALL_WORDS), max_size=2),
)
AGES = st.sampled_from([None, None, 0, 5, 60, 60])
#: Of what is odd there is little in one response: where everything is odd at once, nothing is ever stored.
ODD: Mapping[str, st.SearchStrategy[Any]] = {
    "s_maxage": st.sampled_from([0, 10]),
    "expires": st.sampled_from([0, 20]),
    "while_revalidate": st.just(20),
    "vary": st.sampled_from(
        ["Cookie", "Cookie", "Authorization", "X-Api-Key", "Accept-Language", "Cookie, Authorization", "*"]
    ),
    "set_cookie": st.just(True),
    "status": st.sampled_from([401, 403, 404, 500]),
    "kind": st.just("application/json"),
    "between": st.sampled_from([" , ", "; ", ";", " ", "\t", "|"]),
    "no": st.sampled_from(NOS),
}
TAGS = st.sampled_from(["equal", "equal", "equal", "own", ""])


@st.composite
def saids(draw: st.DrawFn) -> Said:
    """Draw what the origin says of a response."""
    names = draw(st.lists(st.sampled_from(list(ODD)), max_size=2, unique=True))
    odd = {name: draw(ODD[name]) for name in names}
    return Said(max_age=draw(AGES), words=draw(WORDS), tag=draw(TAGS), dated=draw(st.booleans()), **odd)


PLANS = st.builds(
    Plan,
    saids(),
    holds=st.booleans(),
    fails=often(False, False, False, True),
    waits=st.booleans(),
    ranges=st.booleans(),
)


#: The same page, of which something else is said: so do the 304s of applications that have one validator for all.
CHANGES = st.fixed_dictionaries({"max_age": AGES, "words": WORDS, "holds": often(True, False)})


def planned(before: Plan, change: Plan | Mapping[str, Any] | None) -> Plan:
    """Return how the origin answers from now on."""
    if change is None or isinstance(change, Plan):
        return change or before
    said = {name: value for name, value in change.items() if name != "holds"}
    return replace(before, said=replace(before.said, **said), holds=change["holds"], fails=False)


@st.composite
def steps(draw: st.DrawFn, world: str) -> list[tuple[Any, ...]]:
    """Draw what a few users do on a page or two: where everybody goes everywhere, nobody meets."""
    users = draw(st.lists(st.sampled_from(list(USERS)), min_size=1, max_size=2))
    targets = draw(st.lists(st.sampled_from(PATHS[world]), min_size=1, max_size=2))
    one = st.fixed_dictionaries(
        {
            "user": often("anonymous", *users),
            "target": st.sampled_from(targets),
            "language": often("en", "en", "de"),
            "extra": often("", "", "", "HEAD", "POST", *EXTRAS),
            "wish": often("", "", "no-cache", "no-cache", "max-age=0", "no-store", "max-stale", "min-fresh=30"),
            "driver": st.integers(0, 1),
        }
    )
    together = st.lists(one, min_size=2, max_size=4).map(
        lambda crowd: [{**visit, "target": crowd[0]["target"]} for visit in crowd]
    )
    crowds = st.one_of(st.lists(one, min_size=1, max_size=1), together)
    plan = st.one_of(st.none(), st.none(), PLANS, CHANGES)
    # While the origin keeps them waiting, and behind it.
    step = st.tuples(plan, crowds, st.sampled_from([0, 1, 6]), often(0, 1, 6, 16, 61, 700))
    return draw(st.lists(step, min_size=4, max_size=14))
