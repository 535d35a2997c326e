"""Does the answer to a POST say what a GET would have got? (RFC 9110 §9.3.3)"""

from __future__ import annotations

from proxy.message.heads import Request, Response
from proxy.policy.invalidation import same_origin


def answers_get(request: Request, response: Response) -> bool:
    """Tell whether a response to POST represents the resource it was sent to, as its Content-Location says (§8.7)."""
    location = response.fields.get(b"content-location")
    return (
        request.method == b"POST"
        and response.status == 200
        and location is not None
        and same_origin(request, location) == request.target
    )
