"""The poisoning fuzz finds what is planted, tells it as small as it is, and finds nothing else in a few rounds.

It runs for long by hand: ``python -m tests.fuzz.poisoning --minutes 30``.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tests.fuzz.poisoning.applications import APPLICATIONS, Raw, Reply, Sight, parse
from tests.fuzz.poisoning.rounds import Field, Round, drawn_round
from tests.fuzz.poisoning.standing import WORLDS, InProcess, read
from tests.fuzz.poisoning.twists import Draft, Twist

HOST = "v1.victim.test"


def planted(raw: Raw, sight: Sight) -> Reply:
    """An application that shows a field that no key has."""
    reply = APPLICATIONS["php"](raw, sight)
    return replace(reply, body=reply.body + f"planted: {raw.all('x-planted')}\n".encode())


async def field(world: str, application: str) -> Field:
    return Field(InProcess(world, application), InProcess(world, application), keeps_secrets=world == "routed")


async def test_what_is_planted_is_found_and_told_as_small_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(APPLICATIONS, "planted", planted)
    played = await field("default", "planted")
    evil = Twist("field", ("X-Planted", "evil"))
    played_round = Round(
        "/a?x=1", (("Accept-Language", "de"),), ((Twist("value", ("upper",)), evil), (Twist("method", ("HEAD",)),))
    )
    found = await played.play(played_round)
    assert found is not None
    assert found.sees == ("planted",)
    smallest = await played.smallest(found)
    assert smallest.round == Round("/", (), ((evil,),))
    assert "X-Planted: evil" in str(smallest)
    assert played.hits > 0
    await played.close()


@pytest.mark.parametrize("application", sorted(APPLICATIONS))
@pytest.mark.parametrize("world", list(WORLDS))
async def test_no_page_is_stored_for_another_request(world: str, application: str) -> None:
    played = await field(world, application)
    random = Random(f"{world} {application}")
    for _ in range(120):
        fault = await played.play(drawn_round(random))
        assert fault is None, str(fault)
    # A proxy that stores nothing has no faults, either.
    assert played.hits > 20
    await played.close()


GERMAN = (("Accept-Language", "de"),)
KNOWN: dict[str, tuple[str, tuple[tuple[str, str], ...], tuple[Twist, ...]]] = {
    "host-in-capitals": ("/a", (), (Twist("host", ("upper",)),)),
    "host-with-its-port": ("/a", (), (Twist("host", ("port",)),)),
    "host-with-a-dot": ("/a", (), (Twist("host", ("dot",)),)),
    "absolute-form": ("/a", (), (Twist("absolute", ("HTTP", "@:80")), Twist("host", ("upper",)))),
    "absolute-form-of-https": ("/a", (), (Twist("absolute", ("https", "@")),)),
    "another-host-told": ("/a", (), (Twist("field", ("X-Forwarded-Host", "evil.test")),)),
    "underscores": ("/a", (), (Twist("name", ("X-Forwarded-Host", "_", "evil.test")),)),
    "what-lighttpd-folds": ("/a", (), (Twist("name", ("X-Forwarded-Proto", "!", "https")),)),
    "a-varied-field-with-underscores": ("/varied", (), (Twist("name", ("X-Custom-Lang", "_", "evil")),)),
    "another-target": ("/a", (), (Twist("field", ("X-Original-URL", "/evil")),)),
    "another-method": ("/a", (), (Twist("field", ("X-HTTP-Method-Override", "DELETE")),)),
    "another-method-once": ("/a", (), (Twist("field", ("X-Original-Method", "POST")),)),
    "another-prefix": ("/a", (), (Twist("name", ("Script-Name", "_", "/evil")),)),
    "httpoxy": ("/a", (), (Twist("field", ("Proxy", "evil.test")),)),
    "surrogates": ("/a", (), (Twist("field", ("Surrogate-Capability", "evil")),)),
    "an-ignored-cookie": ("/a", (), (Twist("field", ("Cookie", "_ga=evil")),)),
    "an-ignored-cookie-that-varies": ("/varied", (), (Twist("field", ("Cookie", "_ga=evil")),)),
    "an-escaped-letter": ("/a", (), (Twist("escape", ("0", "")),)),
    "an-escaped-letter-of-the-query": ("/a?x=1", (), (Twist("query", ("x", "%78")),)),
    "two-lines": ("/varied", GERMAN, (Twist("line", ("Accept-Language", "")),)),
    "a-line-named-by-connection": ("/varied", GERMAN, (Twist("hop", ("Accept-Language",)),)),
    "the-host-named-by-connection": ("/a", (), (Twist("hop", ("Host",)),)),
    "an-old-range": ("/a", (), (Twist("field", ("Request-Range", "bytes=2-9")),)),
    "a-body": ("/a", (), (Twist("body", ("x=evil", "length")),)),
    "a-chunked-body": ("/a", (), (Twist("body", ("x=evil", "chunked")),)),
    "an-api-key": ("/a", (), (Twist("field", ("X-Auth-Token", "evil")),)),
}


@pytest.mark.parametrize("application", sorted(APPLICATIONS))
@pytest.mark.parametrize("attack", KNOWN)
async def test_what_poisoned_caches_before_does_not(attack: str, application: str) -> None:
    target, fields, twists = KNOWN[attack]
    played = await field("default", application)
    fault = await played.play(Round(target, fields, (twists,)))
    assert fault is None, str(fault)
    await played.close()


async def test_a_secret_is_looked_for_behind_every_spelling() -> None:
    played = await field("default", "php")
    played.keeps_secrets = True
    found = await played.play(Round("/a", (), ((Twist("in-path", ("/a", "/x/..//secret/a")),),)))
    assert found is not None
    assert found.sees == ("a secret was stored",)
    await played.close()


def test_an_attack_is_the_bytes_that_it_says() -> None:
    draft = Twist("host", ("dot-port",)).apply(Draft(HOST, "/a"))
    draft = Twist("absolute", ("HTTP", "@")).apply(Twist("name", ("X-Forwarded-Host", "_", "evil")).apply(draft))
    raw = draft.raw()
    assert raw.startswith(
        b"GET HTTP://v1.victim.test.:80/a HTTP/1.1\r\nHost: v1.victim.test.:80\r\nX_Forwarded_Host: evil\r\n"
    )
    assert parse(raw.partition(b"\r\n\r\n")[0]).all("x_forwarded_host") == ["evil"]


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", id="length"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", 204, b"", id="interim"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", None, b"", id="not-whole"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", None, b"", id="no-head"),
    ],
)
def test_responses_are_read(sent: bytes, status: int | None, body: bytes) -> None:
    answered = read(sent, "GET")
    assert (None if answered is None else answered.status) == status
    assert answered is None or answered.body == body
