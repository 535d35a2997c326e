"""Request fields that servers and frameworks read beside the URL, and what each means for a cache.

Read in the sources of gunicorn 27.0, Werkzeug 3.1 (ProxyFix), Django 5.2, Next.js 15.5, request-ip 3.3, htmx 4.0,
Turbo 8.0, Inertia 3.7 and Unpoly 3.14; the others are names in general use. Names are in lower case.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class FieldKind(StrEnum):
    """What is done with a field of a request; *storable* is one whose answer could be stored."""

    PASSED = "passed on"
    """It is not in the key unless Vary names it."""
    NEVER = "never passed on"
    PROXY = "of proxies"
    """A trusted proxy's is in the key; from others it is never passed on."""
    PROXY_CLIENT = "of proxies, about clients"
    """The same, not in the key: it differs with each client and not with the page."""
    METHOD = "another method"
    """As of proxies, save that an unsafe request keeps it from whoever it comes."""
    EDGE = "of networks in front"
    """A trusted proxy's is in the key; from others it is withheld from storable requests."""
    EDGE_CLIENT = "of networks in front, about clients"
    """The same, not in the key."""
    WITHHELD = "withheld"
    """From storable requests, from whoever it comes."""
    SPELLED = "another spelling"
    """Of a field of proxies, or of HTTP: withheld from storable requests; from untrusted clients never passed on."""
    ODD = "no plain name"
    """With an underscore, as nginx leaves out (underscores_in_headers): withheld from storable requests."""
    KEYED = "in the key"
    """From whoever it comes."""


def _names(text: str) -> frozenset[bytes]:
    return frozenset(text.encode("ascii").split())


#: Those of proxies begin like this, too.
OF_PROXIES = b"x-forwarded-"

#: Of what a trusted proxy says, that which is the same for all requests of a site.
STEADY = _names(
    "x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-scheme x-forwarded-protocol x-forwarded-ssl "
    "x-forwarded-server x-forwarded-prefix x-forwarded-path x-forwarded-pathbase x-host x-original-host x-scheme "
    "x-url-scheme front-end-https cf-visitor cloudfront-forwarded-proto x-arr-ssl x-appengine-https x-script-name "
    "script-name"
)

#: By which a page framework asks for a part of a page, or for its data, at the URL of the page; the answers often come
#: without Vary. The navigations of browsers have none of them.
FRAGMENTS = _names(
    # Every library since Prototype (jQuery, axios), and apps that show pages in an Android WebView.
    "x-requested-with "
    # htmx 1, 2 and 4; Fixi, Datastar 1, Alpine AJAX, Intercooler.
    "hx-request hx-boosted hx-target hx-trigger hx-trigger-name hx-current-url hx-history-restore-request hx-prompt "
    "hx-source hx-request-type hx-preloaded hx-ptag "
    "fx-request datastar-request x-alpine-request x-alpine-target x-ic-request "
    # jquery-pjax, MoOx/pjax, Yii.
    "x-pjax x-pjax-container x-pjax-selectors x-pjax-version x-pjax-referer "
    # Turbo 7 and 8, Turbolinks 5.
    "turbo-frame turbo-visit turbo-referrer turbolinks-referrer x-turbo-nonce x-turbolinks-nonce x-xhr-referer "
    # Inertia 1 and 2.
    "x-inertia x-inertia-version x-inertia-partial-component x-inertia-partial-data x-inertia-partial-except "
    "x-inertia-reset x-inertia-error-bag x-inertia-infinite-scroll-merge-intent x-inertia-except-once-props "
    # Unpoly 2 and 3.
    "x-up-version x-up-target x-up-mode x-up-context x-up-fail-target x-up-fail-mode x-up-fail-context x-up-validate "
    "x-up-open-mode x-up-origin-mode x-up-context-hash x-up-fail-context-hash x-up-location x-up-title "
    # Next.js 12 to 15: the app router, and the data of the pages router.
    "rsc next-router-state-tree next-router-prefetch next-router-segment-prefetch next-url next-hmr-refresh "
    "next-action next-test-fetch-priority x-nextjs-data x-middleware-prefetch "
    # React Router and Remix, SvelteKit, Astro, Qwik, SolidStart, TanStack Start.
    "x-remix-request x-sveltekit-action x-sveltekit-invalidated x-astro-transition x-qrl x-server-id "
    "x-server-instance x-single-flight x-tsr-redirect x-tsr-serverfn "
    # Livewire 3, Laravel Splade, October and Winter CMS.
    "x-livewire x-livewire-navigate x-splade x-splade-version x-splade-modal x-splade-modal-target x-splade-lazy "
    "x-splade-rehydrate x-splade-prevent-refresh x-splade-preserve-scroll "
    "x-october-request-handler x-october-request-partials x-october-request-flash "
    "x-winter-request-handler x-winter-request-partials x-winter-request-flash "
    # Blazor (enhanced navigation), ASP.NET AJAX, JSF, Wicket, SPF, Swup, Barba.
    "blazor-enhanced-nav x-microsoftajax faces-request wicket-ajax wicket-ajax-baseurl wicket-focusedelementid "
    "x-spf-referer x-spf-previous x-spf-request x-swup x-barba x-partial x-ajax x-ajax-request"
)

_EDGES = (
    # The URL in another form: IIS rewriting, Symfony, Zend; uWSGI, Werkzeug, PHP front controllers; Azure; Envoy.
    "x-original-uri x-original-path x-request-uri request-uri x-override-url x-proxy-url x-path-info path-info "
    "x-script-name script-name x-waws-unencoded-url x-envoy-original-path x-replaced-path x-base-path x-base-url "
    # What Next.js 12 to 15 says to itself (CVE-2024-46982, CVE-2025-29927), React Router (CVE-2025-43864 and 43865),
    # Nuxt, Astro.
    "x-middleware-rewrite x-middleware-redirect x-middleware-set-cookie x-middleware-skip x-middleware-next "
    "x-middleware-override-headers x-middleware-invoke x-middleware-subrequest x-middleware-subrequest-id "
    "x-now-route-matches x-matched-path x-invoke-path x-invoke-query x-invoke-status x-invoke-error x-invoke-output "
    "x-nextjs-rewrite x-nextjs-matched-path next-resume x-next-resume-state-length x-action-forwarded x-nuxt-no-ssr "
    "x-nuxt-error x-react-router-spa-mode x-react-router-prerender-data x-astro-path x-astro-locals "
    # The scheme: CDNs, IIS with ARR, App Engine, WebLogic.
    "cf-visitor cloudfront-forwarded-proto x-arr-ssl x-appengine-https x-https x-ssl x-proto x-forwarded wl-proxy-ssl "
    "https fastly-ssl x-fastly-ssl x-rewrite-uri x-ms-original-url "
    "x-client-scheme x-client-proto forwarded-proto forwarded-scheme x-original-proto x-original-scheme "
    # The host: Drupal, Magento, WordPress behind proxies, Joomla.
    "x-http-host-override x-http-host x-backend-host x-original-http-host x-proxy-host forwarded-host x-override-host "
    "x-wa-forwarded-host x-custom-host x-origin-host forwarded-server x-wormhole-host x-original-port "
    # What caches and servers in front can do: ESI, and files that they send (Rack::Sendfile, CVE-2025-61780).
    "surrogate-capability x-sendfile-type x-accel-mapping x-accel-internal x-esi "
    # The country and the place of the client.
    "cf-ipcountry cf-ipcity cf-ipcontinent cf-iplatitude cf-iplongitude cf-region cf-region-code cf-metro-code "
    "cf-postal-code cf-timezone cf-device-type x-country x-country-code x-country-name x-region x-region-code x-city "
    "x-geo-country x-geo-country-code x-geo-region x-geo-city x-geoip-country x-geoip-country-code "
    "x-geoip-country-name x-geoip-region x-geoip-city x-geoip2-country x-geoip2-city geoip-country-code "
    "geoip-country-name geoip-city geoip-region x-ip-country x-client-country x-client-region x-client-city "
    "x-client-geo-location x-real-country x-user-country x-visitor-country x-edge-country x-cdn-country x-cdn-geo "
    "country-code client-geo-country x-akamai-edgescape akamai-edgescape x-nf-geo x-nf-country x-country-iso "
    "x-geo fly-region x-gcp-country mm-country-code cdn-requestcountrycode x-appengine-country x-appengine-region "
    "x-appengine-city x-appengine-citylatlong x-vercel-ip-country x-vercel-ip-country-region x-vercel-ip-city "
    "x-vercel-ip-latitude x-vercel-ip-longitude x-vercel-ip-timezone x-vercel-ip-continent "
    "x-vercel-ip-postal-code fastly-geo-country fastly-geo-city fastly-geo-region "
    # The device, in the place of User-Agent (Mobile_Detect and the plugins made of it), or as CDNs and VCL reckon it.
    "x-device x-device-type x-ua-device x-ua-type x-mobile x-is-mobile x-mobile-device "
    "x-akamai-device-characteristics x-device-user-agent x-original-user-agent x-operamini-phone-ua "
    "x-operamini-phone x-skyfire-phone x-bolt-phone-ua device-stock-ua x-ucbrowser-device-ua x-ucbrowser-device"
)  # fmt: skip

#: How others of networks in front begin.
EDGE_PREFIXES = (b"cloudfront-viewer-", b"cloudfront-is-", b"x-middleware-request-")

#: The address of the client, by request-ip 3.3, Rails, WordPress (Wordfence, Jetpack), Drupal and the networks
#: themselves, and what else differs with each client.
_EDGE_CLIENTS = (
    "client-ip http-client-ip http-x-forwarded-for cf-connecting-ip cf-connecting-ipv6 cf-pseudo-ipv4 "
    "fastly-client-ip fastly-client x-original-forwarded-for forwarded-for remote-addr x-remote-ip x-remote-addr "
    "x-originating-ip x-proxyuser-ip x-proxy-user-ip x-user-ip x-source-ip proxy-client-ip wl-proxy-client-ip "
    "x-appengine-user-ip x-appengine-remote-addr x-azure-clientip x-azure-socketip x-envoy-external-address "
    "do-connecting-ip fly-client-ip x-nf-client-connection-ip x-vercel-forwarded-for x-vercel-proxied-for "
    "x-sucuri-clientip incap-client-ip ali-cdn-real-ip cdn-src-ip cdn-real-ip x-cdn-real-ip "
    "eo-client-ip eo-connecting-ip ns-client-ip x-ns-client-ip x-coming-from coming-from x-client-remote-ip "
    "x-client-real-ip x-akamai-client-ip oxylabs-client-ip x-true-client-ip x-original-remote-addr "
    "x-ms-forwarded-client-ip cloudfront-viewer-address cloudfront-viewer-asn cloudfront-viewer-tls "
    "cloudfront-viewer-ja3-fingerprint cloudfront-viewer-ja4-fingerprint cloudfront-viewer-header-order "
    "cloudfront-viewer-header-count cloudfront-viewer-http-version"
)


def _table() -> dict[bytes, FieldKind]:
    named = {
        FieldKind.KEYED: FRAGMENTS,
        FieldKind.EDGE: _names(_EDGES),
        FieldKind.EDGE_CLIENT: _names(_EDGE_CLIENTS),
        FieldKind.PROXY: _names(
            "x-host x-original-host x-original-url x-rewrite-url x-url-scheme x-scheme front-end-https"
        ),
        FieldKind.PROXY_CLIENT: _names(
            "forwarded x-forwarded-for x-real-ip x-client-ip true-client-ip x-cluster-client-ip"
        ),
        FieldKind.METHOD: _names("x-http-method x-http-method-override x-method-override x-original-method"),
        # CGI makes HTTP_PROXY of it (CVE-2016-5385).
        FieldKind.NEVER: _names("proxy"),
        # Of Turbo 8 and htmx 4: new with each request.
        FieldKind.WITHHELD: _names("x-turbo-request-id hx-request-id"),
    }
    return {name: kind for kind, names in named.items() for name in names}


KNOWN_FIELDS: Mapping[bytes, FieldKind] = _table()
"""What is known of fields by their names."""

COMMON = _names(
    "accept accept-encoding accept-language authorization cache-control cookie dnt host if-modified-since "
    "if-none-match origin pragma priority range referer sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user "
    "upgrade-insecure-requests user-agent"
)
"""What every browser sends, and nothing is known of."""

SPELLED_PLAINLY = tuple(
    b"accept- cache-control content-encoding content-length content-type if-match if-modified-since if-none-match "
    b"if-range if-unmodified-since save-data sec-ch- sec-fetch- transfer-encoding user-agent x-requested-with".split()
)
"""How fields of HTTP begin that choose, delimit or condition a response; nobody writes them with an underscore."""
