"""What is believed of a trusted proxy's words about the scheme, and what of a redirect loop that nobody believed?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.forwarded import SCHEME_FIELDS, forwarded_in_key, scheme_field, scheme_said
from proxy.policy.https_loop import is_https_loop
from tests.policy.making import fields, request, response


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["Forwarded: for=1;proto=https"], b"https", id="forwarded-rfc-7239-5.4"),
        pytest.param(["Forwarded: Proto=HTTPS"], b"https", id="forwarded-without-case"),
        pytest.param(['Forwarded: proto="https"'], b"https", id="forwarded-quoted"),
        pytest.param(["Forwarded: for=1 ; proto = https"], b"https", id="forwarded-white-space"),
        pytest.param(["Forwarded: proto=http, proto=https"], b"https", id="forwarded-the-last-is-nearest"),
        pytest.param(["Forwarded: proto=https, for=2"], None, id="forwarded-the-last-says-nothing"),
        pytest.param(["Forwarded: for=1"], None, id="forwarded-says-nothing"),
        pytest.param(["Forwarded: proto=wss"], None, id="forwarded-another-scheme"),
        pytest.param(["X-Forwarded-Ssl: on"], b"https", id="ssl-gunicorn-27-rack-3"),
        pytest.param(["X-Forwarded-Ssl: ON"], b"https", id="ssl-without-case"),
        pytest.param(["X-Forwarded-Ssl: off"], b"http", id="ssl-off"),
        pytest.param(["X-Forwarded-Ssl: maybe"], None, id="ssl-says-nothing"),
        pytest.param(["X-Forwarded-Protocol: ssl"], b"https", id="protocol-gunicorn-27"),
        pytest.param(["X-Forwarded-Protocol: https"], b"https", id="protocol"),
        pytest.param(["X-Forwarded-Scheme: https"], b"https", id="scheme-ingress-nginx-rack-3"),
        pytest.param(["X-Url-Scheme: https"], b"https", id="x-url-scheme"),
        pytest.param(["X-Scheme: https"], b"https", id="x-scheme"),
        pytest.param(["Front-End-Https: on"], b"https", id="front-end-https-microsoft"),
        pytest.param(["X-ARR-SSL: 2048|256|C=US"], b"https", id="x-arr-ssl-iis"),
        pytest.param(["X-ARR-SSL:"], None, id="x-arr-ssl-empty"),
        pytest.param(["X-AppEngine-Https: on"], b"https", id="x-appengine-https"),
        pytest.param(["CloudFront-Forwarded-Proto: https"], b"https", id="cloudfront"),
        pytest.param(['CF-Visitor: {"scheme":"https"}'], b"https", id="cf-visitor"),
        pytest.param(["CF-Visitor: https"], None, id="cf-visitor-is-json"),
        pytest.param(["X-Forwarded-Proto: http", "X-Forwarded-Ssl: on"], b"http", id="x-forwarded-proto-goes-first"),
        pytest.param(["X-Forwarded-Proto: ", "X-Forwarded-Ssl: on"], b"https", id="unless-it-says-nothing"),
        pytest.param(["Forwarded: proto=https", "X-Forwarded-Ssl: off"], b"https", id="then-forwarded"),
        pytest.param(["X-Forwarded-Proto: https", "Forwarded: proto=http"], b"https", id="before-forwarded"),
        pytest.param(["X-Forwarded-Port: 443"], None, id="a-port-is-no-scheme"),
    ],
)
@pytest.mark.rfc(7239, "5.4")
def test_the_scheme_that_a_proxy_says(lines: list[str], expected: bytes | None) -> None:
    assert scheme_said(fields(*lines)) == expected
    assert (scheme_field(fields(*lines)) is None) is (expected is None)


words = st.lists(
    st.tuples(
        st.sampled_from(sorted(SCHEME_FIELDS)), st.sampled_from([b"http", b"https", b"on", b"off", b"", b"proto=https"])
    ),
    max_size=4,
)


@given(words)
def test_any_words_are_read(said: list[tuple[bytes, bytes]]) -> None:
    lines = fields(*[f"{name.decode()}: {value.decode()}" for name, value in said])
    assert scheme_said(lines) in (None, b"http", b"https")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b"for=192.0.2.1;host=a;proto=https", (b"host=a;proto=https", True), id="without-addresses"),
        pytest.param(b'For="[2001:db8::1]:4711";By=x', (b"", True), id="nothing-else"),
        pytest.param(b"host=a;, for=1 , HOST=b;", (b"host=a,host=b", True), id="empty-pairs"),
        pytest.param(b"host = a", (b"host = a", False), id="white-space"),
        pytest.param(b'for="a,host=b"', (b'for="a,host=b"', False), id="comma-in-quotation-marks"),
        pytest.param(b'for="a\\"";host=b', (b'for="a\\"";host=b', False), id="escape"),
        pytest.param(b"for=1;nonsense", (b"for=1;nonsense", False), id="no-pair"),
    ],
)
@pytest.mark.rfc(7239, "4")
def test_what_of_forwarded_is_in_the_key(value: bytes, expected: tuple[bytes, bool]) -> None:
    assert forwarded_in_key(value) == expected


SAME = "location: https://site.test/page"


@pytest.mark.parametrize(
    ("said", "answer", "status", "expected"),
    [
        pytest.param("X-Forwarded-Proto: https", SAME, 301, True, id="the-same-url"),
        pytest.param("X-Forwarded-Proto: https", SAME, 308, True, id="308"),
        pytest.param("Forwarded: proto=https", SAME, 302, True, id="forwarded"),
        pytest.param("X-Forwarded-Ssl: on", SAME, 302, True, id="ssl"),
        pytest.param("X-Forwarded-Proto: https", "location: https://SITE.test:443/page", 301, True, id="spelled"),
        pytest.param("X-Forwarded-Proto: https", "location: https://site.test/login", 302, False, id="another-path"),
        pytest.param("X-Forwarded-Proto: https", "location: https://www.site.test/page", 301, False, id="another-host"),
        pytest.param("X-Forwarded-Proto: https", "location: http://site.test/page", 301, False, id="to-http"),
        pytest.param("X-Forwarded-Proto: https", "location: /page", 302, False, id="relative"),
        pytest.param("X-Forwarded-Proto: https", "location: https://[", 302, False, id="no-url"),
        pytest.param("X-Forwarded-Proto: https", "x-a: b", 302, False, id="no-location"),
        pytest.param("X-Forwarded-Proto: https", SAME, 200, False, id="no-redirect"),
        pytest.param("X-Forwarded-Proto: http", SAME, 301, False, id="who-came-by-http"),
        pytest.param("X-A: 1", SAME, 301, False, id="who-says-nothing"),
    ],
)
def test_a_redirect_that_goes_on_for_ever(said: str, answer: str, status: int, expected: bool) -> None:
    assert is_https_loop(request(said), response(answer, status=status)) is expected
    assert not is_https_loop(request(said, trusted=True), response(answer, status=status))
