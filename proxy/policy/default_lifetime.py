"""Lifetimes that nobody stated: which responses get the default one, and for which a stale one never stands in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import inf

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
        self._pattern = re.compile(any_of(patterns) if patterns else "(?!)", re.IGNORECASE)

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

    __slots__ = ("_agent", "_begin", "_end", "_exact", "_is_prober", "_path")

    def __init__(self, paths: Sequence[str], user_agents: Sequence[str]) -> None:
        """Patterns, ``*`` standing for any text; paths are matched decoded, whatever their case and final slash."""
        paths = [path.lower() for path in paths]
        # By their form: every response that comes is looked at, and fifty alternatives of an expression take long.
        self._exact = frozenset(path for path in paths if "*" not in path)
        self._begin = tuple(path[:-1] for path in paths if path.find("*") == len(path) - 1)
        self._end = tuple(path[2:] for path in paths if path.startswith("/*/") and "*" not in path[2:])
        others = [
            path
            for path in paths
            if path not in self._exact and path[:-1] not in self._begin and path[2:] not in self._end
        ]
        self._path = re.compile(any_of(others)) if others else None
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
        if not self._exact and not self._begin and not self._end and self._path is None:
            return self.sends(request)
        path = decoded_path(request.target).lower()
        path = path.rstrip("/") or path
        is_path = path in self._exact or path.startswith(self._begin) or path.endswith(self._end)
        return is_path or (self._path is not None and self._path.match(path) is not None) or self.sends(request)


NO_HEALTH_CHECKS = HealthChecks((), ())


FieldLifetimes = Mapping[bytes, Mapping[bytes, Seconds]]
"""Lifetimes that fields of responses give, by lower-case name and value: ``x-nextjs-cache: STALE`` is stale already."""


def shortest(lifetimes: FieldLifetimes, fields: Fields) -> float:
    """Return the shortest lifetime that the fields of a response give, from when it comes; infinite for none."""
    given = ((known, fields.index.get(name)) for name, known in lifetimes.items())
    return min(
        (known.get(value.strip(b" \t").lower(), inf) for known, value in given if value is not None), default=inf
    )
