"""What the word ``usual`` stands for in lists of the configuration: identity fields, page types and health checks."""

from __future__ import annotations

from collections.abc import Sequence

USUAL = "usual"

#: In lower case, ``*`` standing for any text.
IDENTITY_FIELDS: Sequence[str] = (
    # API keys, tokens and sessions, whatever stands around the word, and other credentials.
    *("proxy-authorization", "x-authorization", "x-auth", "x-auth-*", "authentication", "authentication-*",
      "x-authentication-*", "*api-key*", "*apikey*", "*token*", "*jwt*", "*session*", "*-secret*", "*-secret-*",
      "*password*", "*credential*", "x-app-key", "app-key", "x-application-key", "application-key", "x-access-key",
      "access-key", "x-access-id", "x-client-key", "x-secret*", "x-sid", "sid", "ocp-apim-subscription-key",
      "*-subscription-key", "x-functions-key", "x-rapidapi-*", "x-parse-*", "x-hasura-*", "x-emby-*", "x-redmine-*",
      "x-signature", "x-hub-signature*", "signature", "signature-input", "dpop"),
    # What web servers and authenticating proxies write: Authelia, authentik, oauth2-proxy, Pomerium, Vouch, Envoy,
    # Kong, Grafana, mod_auth_openidc, Shibboleth, Mellon, SiteMinder, WebSEAL.
    *("remote-user", "remote-email", "remote-name", "remote-groups", "remote-role*", "x-remote-*", "x-webauth-*",
      "webauth-*", "x-authentik-*", "x-authelia-*", "x-forwarded-user*", "x-forwarded-email", "x-forwarded-groups",
      "x-forwarded-role*", "x-forwarded-preferred-username", "x-forwarded-client-cert",
      "x-forwarded-tls-client-cert*", "x-pomerium-*", "x-vouch-*", "x-consumer-*", "x-anonymous-consumer",
      "*userinfo*", "oidc-*", "x-oidc-*", "saml-*", "x-saml-*", "mellon-*", "shib-*", "ajp-shib-*", "x-shib-*",
      "eppn", "x-eppn", "persistent-id", "iv-*", "sm-*", "smuser", "x-sso-*", "sso-*", "ct-remote-user", "osso-*",
      "oam-*", "x-ms-client-principal*", "x-amzn-oidc-*", "x-goog-iap-*", "x-goog-authenticated-user-*",
      "cf-access-*", "tailscale-user-*", "x-sandstorm-*", "x-teleport-*", "x-sentry-auth",
      "x-wcpay-*"),
    # Users, accounts and tenants.
    *("user", "user-id", "user-name", "user-email", "userid", "username", "x-user", "x-user-id", "x-user-name",
      "x-user-email", "x-user-info", "x-user-role*", "x-user-group*", "x-userid", "x-username",
      "x-current-user*",
      "x-email", "x-mail", "x-authenticated-*", "x-login", "x-logged-in*", "x-account*", "x-tenant*", "x-org-*",
      "x-organization-*", "x-customer*", "x-member*", "x-principal*", "x-subject", "x-sub", "x-role", "x-roles",
      "x-uid", "uid", "x-impersonate*", "x-on-behalf-of", "x-act-as*", "x-ident*"),
    # Client certificates.
    *("x-client-cert*", "client-cert", "client-cert-chain", "x-client-dn*", "x-client-verify*", "ssl-client-*",
      "x-ssl-client-*", "x-ssl-cert*", "x-ssl-user*", "x-tls-client-*", "x-arr-clientcert", "x-mtls-*"),
)  # fmt: skip

#: Pages, styles, scripts, images, fonts and feeds. Never JSON or plain text: whoever asks for data wants that of now.
PAGE_TYPES = (
    *("text/html", "application/xhtml+xml", "text/css", "text/javascript", "application/javascript"),
    *("application/x-javascript", "application/wasm", "image/*", "font/*", "application/font-*"),
    *("application/x-font-*", "application/vnd.ms-fontobject"),
    *("application/rss+xml", "application/atom+xml", "application/rdf+xml"),
)

#: Kubernetes, Docker, load balancers and frameworks (Rails, Spring, MLflow, Prometheus, Dockerflow, nginx, Apache).
HEALTH_PATHS = (
    *("/health", "/health/*", "/health.*", "/healthz", "/healthz/*", "/health-check*", "/health_check*"),
    *("/healthcheck*", "/*/health", "/*/healthz", "/*/healthcheck", "/*/health-check", "/*/health/*", "/_health"),
    *("/_healthz", "/-/healthy", "/-/health", "/-/ready", "/-/readiness", "/-/live", "/-/liveness", "/ht", "/hc"),
    *("/livez", "/livez/*", "/*/livez", "/readyz", "/readyz/*", "/*/readyz", "/startupz", "/live", "/ready"),
    *("/liveness", "/readiness", "/*/liveness", "/*/readiness", "/alive", "/isalive", "/is-alive", "/is_alive"),
    *("/heartbeat", "/*/heartbeat", "/__heartbeat__", "/__lbheartbeat__", "/ping", "/*/ping", "/up", "/status"),
    *("/*/status", "/actuator/*", "/nginx_status", "/nginx-health", "/stub_status", "/server-status"),
    *("/fpm-ping", "/fpm-status", "/lbcheck", "/lb-check", "/lb_check", "/haproxy", "/watchman"),
    *("/metrics", "/*/metrics"),
)

#: How the User-Agent of programs begins that ask whether an application is well.
HEALTH_AGENTS = (
    *("kube-probe/*", "ELB-HealthChecker/*", "GoogleHC/*", "GoogleStackdriverMonitoring*", "*Health*Check*"),
    *(
        "Edge Health Probe*",
        "Load Balancer Agent*",
        "Envoy/HC*",
        "DigitalOcean*",
        "Blackbox*Exporter/*",
        "Prometheus/*",
    ),
    *("Cloudflare-Traffic-Manager*", "Azure Traffic Manager*", "AlwaysOn", "Uptime-Kuma/*", "*UptimeRobot*"),
    *(
        "*Pingdom*",
        "*StatusCake*",
        "*Site24x7*",
        "*Better*Uptime*",
        "*Better*Stack*",
        "*Datadog*Synthetics*",
        "NodePing*",
    ),
    *(
        "updown.io*",
        "HetrixTools*",
        "*Checkly*",
        "Freshping*",
        "check_http*",
        "monitoring-plugins*",
        "Zabbix*",
        "Monit/*",
    ),
)


def with_usual(names: Sequence[str], usual: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a setting with the usual ones in the place of their word."""
    return tuple(dict.fromkeys(one for name in names for one in (usual if name == USUAL else (name,))))
