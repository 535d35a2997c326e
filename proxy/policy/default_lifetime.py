"""Lifetimes that nobody stated: which responses get the default one, and for which a stale one never stands in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from proxy.config.units import Seconds
from proxy.message.fields import Fields
from proxy.message.heads import Request
from proxy.policy.globs import any_of
from proxy.policy.routing import decoded_path

#: Data for programs: whoever asks wants the present value, or an error.
_DATA = re.compile(
    rb"(?:application|text)/(?:[\w.-]+\+)?json(?:-seq|l|lines)?\b|application/(?:x-)?(?:ndjson|jsonlines|jsonl)\b"
    rb"|text/plain\b|application/openmetrics-text\b|text/event-stream\b",
    re.IGNORECASE,
)
#: Bytes of a field that is worth remembering what it means.
_LONGEST_REMEMBERED = 255


class MediaTypes:
    """Patterns of media types, as ``image/*``."""

    __slots__ = ("_pattern",)

    def __init__(self, patterns: Sequence[str]) -> None:
        self._pattern = re.compile(any_of(patterns), re.IGNORECASE)

    def take(self, fields: Fields) -> bool:
        """Tell whether a response is of one of them; one without a Content-Type is of none."""
        value = fields.index.get(b"content-type")
        media_type = b"" if value is None else value.partition(b";")[0].strip(b" \t")
        return bool(media_type) and self._pattern.match(media_type.decode("latin-1")) is not None


def is_data(fields: Fields) -> bool:
    """Tell whether a response is data for programs: JSON, lines of JSON, plain text."""
    value = fields.index.get(b"content-type")
    return value is not None and _DATA.match(value) is not None


class HealthChecks:
    """Requests that ask whether the application is well, by their path or by the program that sends them."""

    __slots__ = ("_agent", "_is_prober", "_path")

    def __init__(self, paths: Sequence[str], user_agents: Sequence[str]) -> None:
        """Patterns, ``*`` standing for any text; those of paths are matched with the decoded path."""
        self._path = re.compile(any_of(paths)) if paths else None
        self._agent = re.compile(any_of(user_agents), re.IGNORECASE) if user_agents else None
        self._is_prober = lru_cache(maxsize=1024)(self._matches)

    def _matches(self, user_agent: bytes) -> bool:
        return self._agent is not None and self._agent.match(user_agent.decode("latin-1")) is not None

    def sends(self, request: Request) -> bool:
        """Tell whether a program that checks health sends this."""
        agent = request.fields.index.get(b"user-agent")
        if agent is None:
            return False
        return self._is_prober(agent) if len(agent) <= _LONGEST_REMEMBERED else self._matches(agent)

    def ask(self, request: Request) -> bool:
        """Tell whether a request is a health check, by its path or by who sends it."""
        is_path = self._path is not None and self._path.match(decoded_path(request.target)) is not None
        return is_path or self.sends(request)


NO_HEALTH_CHECKS = HealthChecks((), ())


@dataclass(frozen=True, slots=True)
class FieldLifetime:
    """A lifetime that a field of the response gives, however long its Cache-Control says: ``x-nextjs-cache: STALE``."""

    field: bytes
    """Its lower-case name."""
    value: bytes
    """In lower case, without white space around it."""
    lifetime: Seconds
    """The longest, from when the response comes."""


def shortest(rules: Sequence[FieldLifetime], fields: Fields) -> Seconds | None:
    """Return the shortest lifetime that the fields of a response give by these rules; None where they give none."""
    found = [
        rule.lifetime
        for rule in rules
        if (value := fields.index.get(rule.field)) is not None and value.strip(b" \t").lower() == rule.value
    ]
    return min(found, default=None)
