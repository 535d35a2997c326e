"""What identifies the client of a request, and is not in the key of a response."""

from __future__ import annotations

import pytest

from proxy.config.usual import IDENTITY_FIELDS
from proxy.policy.decisions import Detail
from proxy.policy.identity import IdentityFields, is_identified, tells_clients_apart, unaccounted
from proxy.policy.key import Distinctions
from tests.policy.making import request

USUAL = Distinctions(("_ga", "_ga_*"), identity=IdentityFields(IDENTITY_FIELDS))


@pytest.mark.parametrize(
    ("line", "vary", "expected"),
    [
        pytest.param("Accept: text/html", (), None, id="nobody"),
        pytest.param("Authorization: Basic eDp5", (), Detail.AUTHORIZATION, id="authorization"),
        pytest.param("Authorization: Basic eDp5", (b"authorization",), None, id="authorization-varied"),
        pytest.param("Authorization: Basic eDp5", (b"cookie",), Detail.AUTHORIZATION, id="varied-by-another"),
        pytest.param("Cookie: sessionid=1", (), Detail.COOKIE, id="cookie"),
        pytest.param("Cookie: sessionid=1", (b"cookie",), None, id="cookie-varied"),
        pytest.param("Cookie: _ga=1", (), None, id="ignored-cookie"),
        pytest.param("Cookie: _ga=1; a=2", (b"cookie:a",), None, id="single-cookie"),
        pytest.param("Cookie: a=1; b=2", (b"cookie:a",), Detail.COOKIE, id="another-beside-the-single"),
        pytest.param("X-Api-Key: 1", (), Detail.IDENTITY, id="api-key"),
        pytest.param("X-Api-Key: 1", (b"x-api-key",), None, id="api-key-varied"),
        pytest.param("X_Api_Key: 1", (), Detail.IDENTITY, id="as-cgi-reads-it"),
        pytest.param("X-Api-Key:", (), Detail.IDENTITY, id="empty"),
    ],
)
def test_unaccounted(line: str, vary: tuple[bytes, ...], expected: Detail | None) -> None:
    assert unaccounted(request(line), vary, USUAL) is expected
    assert is_identified(request(line), USUAL) is (unaccounted(request(line), (), USUAL) is not None)


@pytest.mark.parametrize(
    "name",
    [
        # GitLab 17, Vault 1.18, Shopify, Cloudflare Access, AWS ALB, Google IAP, Azure App Service, Tailscale, Envoy,
        # Authelia 4.38, authentik 2024.10, oauth2-proxy 7.7, Pomerium 0.28, Kong 3.8, Grafana 11, RFC 9421, RFC 9449
        *("Private-Token", "X-Vault-Token", "X-Shopify-Access-Token", "Cf-Access-Jwt-Assertion", "CF-Access-Client-Id"),
        *("X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Data", "X-Goog-Iap-Jwt-Assertion", "X-Goog-Authenticated-User-Email"),
        *("X-MS-Client-Principal", "X-MS-Token-AAD-Access-Token", "Tailscale-User-Login", "X-Forwarded-Client-Cert"),
        *("Remote-User", "Remote-Groups", "X-Remote-User", "X-authentik-username", "X-Forwarded-User"),
        *("X-Forwarded-Email", "X-Auth-Request-Email", "X-Pomerium-Jwt-Assertion", "X-Consumer-Username"),
        *("X-WEBAUTH-USER", "X-Auth-Token", "X-Access-Token", "Api-Key", "Ocp-Apim-Subscription-Key", "DPoP"),
        *("Token", "Auth-Token", "JWT", "X-Bearer-Token", "X-Algolia-API-Key", "Sessionid", "X-Session", "X-SSO-User"),
        *("Iv-User", "SM_USER", "OIDC_CLAIM_sub", "Shib-Session-Id", "Eppn", "X-Apigateway-Api-Userinfo", "X-Role"),
        *("Signature", "Proxy-Authorization", "X-Session-Id", "X-User-Id", "SSL-Client-S-DN", "X-SSL-Client-Cert"),
    ],
)
def test_usual_fields(name: str) -> None:
    assert unaccounted(request(f"{name}: x"), (), USUAL) is Detail.IDENTITY
    assert tells_clients_apart((name.lower().encode(),), USUAL)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "User-Agent",
            "Accept-Language",
            "X-Requested-With",
            "X-Forwarded-For",
            "X-Real-Ip",
            "Traceparent",
            "Priority",
        ),
        *("Sec-Fetch-User", "Sec-Ch-Ua", "X-Request-Id", "Save-Data", "From", "Sec-Gpc", "X-Cdn", "X-Country"),
        *(
            "X-User-Agent",
            "X-SSL-Cipher",
            "X-Forwarded-Ssl",
            "X-B3-TraceId",
            "CF-Ray",
            "X-Amzn-Trace-Id",
            "X-Custom-Lang",
        ),
    ],
)
def test_fields_that_identify_nobody(name: str) -> None:
    assert unaccounted(request(f"{name}: x"), (), USUAL) is None
    assert not tells_clients_apart((name.lower().encode(),), USUAL)


def test_an_operators_own_fields() -> None:
    own = Distinctions((), identity=IdentityFields(("x-our-*", "user-agent")))
    assert unaccounted(request("X-Our-Key: 1"), (), own) is Detail.IDENTITY
    assert unaccounted(request("User-Agent: x"), (), own) is Detail.IDENTITY
    assert unaccounted(request("X-Api-Key: 1"), (), own) is None
    assert unaccounted(request("X-Api-Key: 1"), (), Distinctions(())) is None
