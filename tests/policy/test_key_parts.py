"""Is the key explained as it is made, and without secrets?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.message.heads import Request
from proxy.policy.key import Distinctions, primary_key, variant_key
from proxy.policy.key_parts import ABSENT, Keying, KeyPart, is_secret_parameter, key_parts, without_secrets
from proxy.policy.languages import AS_SAID, Languages
from proxy.policy.negotiation import Normal
from proxy.policy.query import QueryRules
from proxy.policy.search import search_variance
from proxy.policy.zones import Zones
from tests.policy.making import request

PLAIN = Distinctions(("_ga",))
SECRET = "s3cret"


def parts(
    asked: Request, vary: list[bytes] | None = None, distinctions: Distinctions = PLAIN, **keying: object
) -> dict[str, KeyPart]:
    made = Keying(b"", distinctions, **keying)  # type: ignore[arg-type]
    found = key_parts(asked, made, vary)
    assert len({part.name for part in found}) == len(found)
    return {part.name: part for part in found}


def test_a_plain_request() -> None:
    found = parts(request(target=b"/a%7eb?x=1", host=b"site.test"))
    assert {name: part.kept for name, part in found.items()} == {
        "scheme": "http",
        "host": "site.test",
        "path": "/a~b",
        "query": "x=1",
    }
    assert found["path"].why == "escapes are written one way"
    assert "every parameter counts" in found["query"].why


def test_the_prefix_of_cache_and_site() -> None:
    [prefix] = [part for part in key_parts(request(), Keying(b"0:1:24:blog", PLAIN), None) if part.name == "prefix"]
    assert prefix.kept == "VERSION 2, CACHE_MIDDLEWARE_KEY_PREFIX blog"


def test_a_host_in_another_spelling() -> None:
    found = parts(request("host: Site.Test:80"))
    assert (found["host"].kept, found["host"].why) == (
        "site.test",
        "in lower case, without the default port and the dot at the end",
    )


def test_without_a_query_there_is_none() -> None:
    assert parts(request())["query"] == KeyPart("query", "", why="there is none")


@pytest.mark.parametrize(
    ("rules", "target", "kept", "ignored"),
    [
        pytest.param(QueryRules(["utm_*"]), b"/?utm_source=x&a=1", "a=1", ("utm_source",), id="ignored"),
        pytest.param(QueryRules(["a"]), b"/?a=1&a=2", "", ("a",), id="nothing-left"),
        pytest.param(QueryRules(keep=["a"]), b"/?b=1&a=1&&c", "a=1", ("b", "c"), id="only-those-that-are-kept"),
        pytest.param(QueryRules(sort=True), b"/?b=1&a=1", "a=1&b=1", (), id="sorted"),
        pytest.param(QueryRules(["a"]), b"/?A=1", "A=1", (), id="nothing-ignored"),
    ],
)
def test_what_the_rules_make_of_a_query(rules: QueryRules, target: bytes, kept: str, ignored: tuple[str, ...]) -> None:
    found = parts(request(target=target), query=rules)["query"]
    assert (found.kept, found.ignored) == (kept, ignored)
    assert "`query.ignore`" in found.why


def test_what_no_vary_search_makes_of_a_query() -> None:
    found = parts(request(target=b"/?b=1&a=1"), query=QueryRules(), variance=search_variance(b'params=("b")'))["query"]
    assert (found.kept, found.ignored) == ("a=1", ("b",))
    assert found.why == "No-Vary-Search of this path says what counts"


def test_what_others_say_of_forwarding_does_not_count() -> None:
    found = parts(request("x-forwarded-host: evil.test", "forwarded: for=1"))["forwarded fields"]
    assert (found.kept, found.ignored) == ("", ("X-Forwarded-Host", "Forwarded"))
    assert "`trusted_proxies`" in found.why


def test_what_a_trusted_proxy_says_counts() -> None:
    asked = request("x-forwarded-proto: https", "x-forwarded-for: 192.0.2.9", trusted=True, scheme=b"https")
    found = parts(asked)
    assert found["forwarded fields"].kept == "X-Forwarded-Proto: https"
    assert found["forwarded fields"].ignored == ("X-Forwarded-For",)
    assert found["scheme"] == KeyPart("scheme", "https", why="as a trusted proxy says in X-Forwarded-Proto")


def test_a_trusted_proxy_that_says_nothing() -> None:
    assert "forwarded fields" not in parts(request(trusted=True))


def test_what_the_application_does_not_get() -> None:
    found = parts(request("x_lang: de", "cf-ipcountry: DE", "proxy: x", "x-forwarded-host: evil.test", "x-other: 1"))
    assert found["withheld fields"].ignored == ("X_Lang", "Cf-Ipcountry", "Proxy")
    assert "`request_fields`" in found["withheld fields"].why
    assert found["forwarded fields"].ignored == ("X-Forwarded-Host",)
    assert found["other fields"].ignored == ("X-Other",)


def test_what_a_page_framework_asks_by_counts() -> None:
    found = parts(request("hx-request: true", "x-requested-with: XMLHttpRequest"))["fields"]
    assert found.kept == "Hx-Request: true; X-Requested-With: XMLHttpRequest"
    assert found.ignored == ()


def test_what_networks_in_front_say_counts_where_they_are_trusted() -> None:
    asked = request("cf-ipcountry: DE", "cf-connecting-ip: 192.0.2.9", "x_forwarded_host: a", trusted=True)
    found = parts(asked)
    assert found["forwarded fields"].kept == "Cf-Ipcountry: DE"
    assert found["forwarded fields"].ignored == ("Cf-Connecting-Ip",)
    assert found["withheld fields"].ignored == ("X_Forwarded_Host",)


@pytest.mark.parametrize("line", ["forwarded: for=1;proto=https", "x-forwarded-ssl: on"])
def test_which_field_says_the_scheme(line: str) -> None:
    found = parts(request(line, trusted=True, scheme=b"https"))["scheme"]
    assert found.why.lower() == f"as a trusted proxy says in {line.partition(':')[0]}"


def test_cookies_that_the_response_varies_by() -> None:
    found = parts(request(f"cookie: _ga={SECRET}; sid={SECRET}"), [b"cookie"])["Cookie"]
    assert (found.kept, found.ignored) == ("sid=***", ("_ga",))
    assert parts(request("cookie: _ga=1"), [b"cookie"])["Cookie"].kept == ABSENT
    assert parts(request(), [b"cookie"])["Cookie"] == KeyPart("Cookie", ABSENT, why=found.why)


def test_cookies_that_are_not_in_the_key() -> None:
    found = parts(request("cookie: _ga=1; sid=2"), [])["cookies"]
    assert (found.kept, found.ignored) == ("", ("sid", "_ga"))
    assert "with sid only a page" in found.why
    assert parts(request("cookie: _ga=1"), [])["cookies"].why.startswith("no part of the key;")
    assert "cookies" not in parts(request("cookie: ;"), [])


def test_a_single_cookie() -> None:
    found = parts(request(f"cookie: currency={SECRET}"), [b"cookie:currency"])["cookie currency"]
    assert (found.kept, found.why) == ("currency=***", "this cookie alone, by `routes[].vary_on`")
    assert parts(request(), [b"cookie:currency"])["cookie currency"].kept == ABSENT


def test_a_time_zone() -> None:
    zoned = Distinctions((), zones=Zones(["Europe/Berlin", "UTC"], "UTC", b"cookie:tz"))
    found = parts(request("cookie: tz=Europe/Berlin"), [b"cookie:tz"], zoned)["cookie tz"]
    assert (found.kept, found.why) == ("Europe/Berlin", "the time zone, by `timezone_from`")
    by_field = Distinctions((), zones=Zones(["Europe/Berlin"], "UTC", b"x-timezone"))
    assert parts(request("x-timezone: no"), [b"x-timezone"], by_field)["X-Timezone"].kept == "UTC"


def test_a_language() -> None:
    spoken = Distinctions((), Languages(["en", "de"], "en", b"django_language"))
    asked = request("accept-language: de-AT, en;q=0.5")
    found = parts(asked, [b"accept-language", AS_SAID], spoken)
    assert (found["Accept-Language"].kept, found["Accept-Language"].why) == ("de", "what counts of de-AT, en;q=0.5")
    assert found["Accept-Language as sent"].kept == "de-AT, en;q=0.5"
    without = parts(request(), [b"accept-language", AS_SAID], spoken)
    assert (without["Accept-Language"].kept, without["Accept-Language"].why) == ("en", "what counts of nothing")
    assert without["Accept-Language as sent"].kept == ABSENT


def test_a_coding() -> None:
    coded = Distinctions((), normal=Normal(encodings=(b"gzip",)))
    asked = request("accept-encoding: br, gzip")
    assert parts(asked, [b"accept-encoding"], coded)["Accept-Encoding"].kept == "gzip"
    assert parts(asked, [b":accept-encoding"], coded)["Accept-Encoding as sent"].kept == "br, gzip"
    assert parts(request(), [b"accept-encoding"], coded)["Accept-Encoding"].kept == ABSENT


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "x-auth-token", "x-session-id"])
def test_a_field_that_holds_a_secret(name: str) -> None:
    found = parts(request(f"{name}: {SECRET}"), [name.encode()])
    assert found[name.title()].kept == "***"
    assert SECRET not in repr(found)


def test_fields_that_play_no_part() -> None:
    found = parts(request("host: site.test", "user-agent: x", "accept: y", "cookie: a=1"), [b"accept"])
    assert found["other fields"].ignored == ("User-Agent",)
    assert parts(request("user-agent: x"))["other fields"].why == "no response is known that varies"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        pytest.param(b"/a?b=1&c", "/a?b=1&c", id="nothing"),
        pytest.param(b"/a?token=1&b=2", "/a?token=***&b=2", id="token"),
        pytest.param(b"/a?access_token=1", "/a?access_token=***", id="a-longer-name"),
        pytest.param(b"/a?X-Amz-Signature=1", "/a?X-Amz-Signature=***", id="signature"),
        pytest.param(b"/a?sid=1&sessionid=2", "/a?sid=***&sessionid=***", id="session"),
        pytest.param(b"/a?token", "/a?token", id="no-value"),
        pytest.param(b"/\xff\x1b", "/\xff\\x1b", id="not-printable"),
    ],
)
def test_what_is_shown_of_a_target(target: bytes, shown: str) -> None:
    assert without_secrets(target) == shown


@pytest.mark.parametrize("name", ["monkey", "page", "q", "design", "side", "country_code_list", "keyboard"])
def test_names_that_are_no_secrets(name: str) -> None:
    assert not is_secret_parameter(name)


FIELDS = st.lists(
    st.sampled_from(
        [
            ("accept-language", "de"),
            ("accept-language", "de, en"),
            ("accept-encoding", "gzip, br"),
            ("accept-encoding", "br, gzip"),
            ("x-forwarded-host", "a.test"),
            ("x-forwarded-for", "192.0.2.1"),
            ("user-agent", "x"),
        ]
    ),
    max_size=4,
)
REQUESTS = st.builds(
    lambda target, host, fields, trusted: replace(
        request(*(f"{name}: {value}" for name, value in fields)), target=target, host=host, trusted=trusted
    ),
    st.sampled_from([b"/", b"/a", b"/%61", b"/a?b=1", b"/a?b=1&utm_x=2", b"/a?utm_x=2", b"/a?"]),
    st.sampled_from([b"a.test", b"b.test"]),
    FIELDS,
    st.booleans(),
)
VARY = [b"accept-encoding", b"accept-language"]
RULES = QueryRules(["utm_*"])


@given(one=REQUESTS, other=REQUESTS)
def test_keys_are_the_same_where_their_parts_are(one: Request, other: Request) -> None:
    """The explanation leaves nothing out that tells pages apart, and makes nothing up."""

    def key(asked: Request) -> bytes:
        return variant_key(primary_key(b"", replace(asked, target=RULES.keyed(asked.target))), VARY, asked, PLAIN)

    def told(asked: Request) -> list[tuple[str, str]]:
        made = key_parts(asked, Keying(b"", PLAIN, RULES), VARY)
        return [(part.name, part.kept) for part in made if part.kept]

    assert (key(one) == key(other)) == (told(one) == told(other))
