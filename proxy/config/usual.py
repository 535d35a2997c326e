"""What the word ``usual`` stands for in lists of the configuration: identity fields, page types and health checks."""

from __future__ import annotations

from collections.abc import Sequence

USUAL = "usual"

#: In lower case, ``*`` standing for any text. API keys and tokens first, then what authenticating proxies write.
IDENTITY_FIELDS: Sequence[str] = (
    *("proxy-authorization", "x-authorization", "x-auth", "x-auth-*", "authentication", "x-authentication-*",
      "api-key", "apikey", "x-api-key", "x-apikey", "x-api-token", "x-api-secret", "x-app-key", "x-app-token",
      "x-application-key", "x-access-token", "x-access-key", "x-id-token", "x-user-token", "x-client-token",
      "x-token", "x-jwt", "x-jwt-*", "x-secret*", "x-session", "x-session-*", "session-id", "session-token", "x-sid"),
    # GitLab, Vault, Shopify, Plex, Emby, Parse, Hasura, Supabase, Azure, AWS, message signatures, DPoP
    *("private-token", "job-token", "deploy-token", "x-gitlab-token", "x-vault-token", "x-shopify-*-token",
      "x-plex-token", "x-emby-*", "x-mediabrowser-token", "x-parse-*", "x-hasura-*", "x-amz-security-token",
      "ocp-apim-subscription-key", "x-functions-key", "x-goog-api-key", "x-rapidapi-*", "x-figma-token",
      "x-rundeck-auth-token", "x-redmine-*", "dd-api-key", "dpop", "signature", "signature-input"),
    # Web servers, Grafana, Authelia, Authentik, oauth2-proxy, Pomerium, Vouch, Traefik, Envoy, Kong, Istio
    *("remote-user", "remote-email", "remote-name", "remote-groups", "x-remote-*", "x-webauth-*", "x-authentik-*",
      "x-authelia-*", "x-forwarded-user", "x-forwarded-email", "x-forwarded-groups",
      "x-forwarded-preferred-username", "x-forwarded-access-token", "x-forwarded-id-token",
      "x-forwarded-client-cert", "x-forwarded-tls-client-cert*", "x-pomerium-*", "x-vouch-*", "x-consumer-*",
      "x-credential-*", "x-anonymous-consumer", "x-userinfo", "x-user", "x-user-*", "x-username", "x-email",
      "x-authenticated-*", "x-login", "x-account", "x-account-*", "x-tenant", "x-tenant-*", "x-principal*"),
    # Cloudflare Access, AWS ALB, Google IAP, Azure App Service, Tailscale, Sandstorm, client certificates
    *("cf-access-*", "x-amzn-oidc-*", "x-goog-iap-*", "x-goog-authenticated-user-*", "x-ms-client-principal*",
      "x-ms-token-*", "tailscale-user-*", "x-sandstorm-*", "x-client-cert*", "client-cert", "client-cert-chain",
      "ssl-client-*", "x-ssl-client-*", "x-ssl-cert*", "x-arr-clientcert"),
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
    *("/health", "/health/*", "/healthz", "/healthz/*", "/health-check", "/health_check", "/healthcheck"),
    *("/healthcheck/*", "/*/health", "/*/healthz", "/_health", "/_healthz", "/-/healthy", "/-/ready", "/-/live"),
    *("/livez", "/livez/*", "/readyz", "/readyz/*", "/startupz", "/live", "/ready", "/liveness", "/readiness"),
    *("/alive", "/heartbeat", "/__heartbeat__", "/__lbheartbeat__", "/ping", "/*/ping", "/up", "/status", "/*/status"),
    *("/actuator/health*", "/nginx_status", "/stub_status", "/server-status", "/metrics", "/*/metrics"),
)

#: How the User-Agent of programs begins that ask whether an application is well.
HEALTH_AGENTS = (
    *("kube-probe/*", "ELB-HealthChecker/*", "GoogleHC/*", "GoogleStackdriverMonitoring-UptimeChecks*"),
    *("Amazon-Route53-Health-Check-Service*", "Edge Health Probe*", "Load Balancer Agent*"),
    *(
        "Consul Health Check*",
        "Envoy/HC*",
        "HealthCheck*",
        "Health-Check*",
        "DigitalOcean*Probe*",
        "Blackbox Exporter/*",
    ),
    *("Prometheus/*", "Uptime-Kuma/*", "*UptimeRobot/*", "*Pingdom*", "*StatusCake*", "check_http/*", "*Site24x7*"),
)


def with_usual(names: Sequence[str], usual: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a setting with the usual ones in the place of their word."""
    return tuple(dict.fromkeys(one for name in names for one in (usual if name == USUAL else (name,))))
