"""How is a purge carried out: by one worker, by all of them, and for whoever shares their storages?

One worker leads: it tells the storages that others use, too. Then every worker is told, for what lies in its memory and
for what could not be told to a storage. Only when all have said yes is it answered that the purge is done.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from secrets import token_hex
from typing import Any

from proxy.config.units import UnixTime
from proxy.downstream.pretended import Asked as Pretended
from proxy.downstream.pretended import pretend
from proxy.downstream.uplink import Uplink
from proxy.downstream.workers import Answered
from proxy.errors import RequestError
from proxy.policy.asked_purges import Asked, Done, PurgeError, asked_of
from proxy.policy.purging import Kind, Purge, Rule, subject_of
from proxy.worker import Worker, clock

PURGE = "purge"
"""What the question to a worker is called."""
_log = logging.getLogger("sitecache")

AskOne = Callable[[bytes], Awaitable[bytes | None]]
"""Asks some worker; None where none answers."""
TellAll = Callable[[bytes], Awaitable[Sequence[Answered]]]
"""Tells all workers, also those that start later; None of one that did not answer, and is replaced."""


def rules_of(asked: Asked, worker: Worker) -> tuple[Rule, ...]:
    """Return what a purge is about by the configuration of a worker; PurgeError where a URL is none of ours."""
    hosts = [host.encode("latin-1") for host in asked.host]
    named = {Kind.PREFIX: asked.prefix, Kind.GLOB: asked.glob, Kind.TAG: asked.tag}
    rules = [rule for url in asked.url for rule in _of_url(url, worker)]
    rules += [
        Rule(kind, what.encode("latin-1"), host)
        for kind, every in named.items()
        for what in every
        for host in hosts or [b""]
    ]
    if "host" in asked.kinds:
        rules += [Rule(Kind.HOST, b"", host) for host in hosts]
    if asked.all:
        rules.append(Rule(Kind.ALL))
    return tuple(dict.fromkeys(rules))


def _of_url(url: str, worker: Worker) -> Sequence[Rule]:
    try:
        request = pretend(Pretended(url), worker.config.limits, worker.config.trusted_proxies)
    except RequestError as error:
        raise PurgeError(f"url: {error.why}, and not {url[:200]!r}") from error
    route = worker.sites.route(request)
    if not route.is_ours:
        raise PurgeError(f"url: no site has the host {request.host.decode('latin-1')!r}")
    request = replace(request, trusted=False)
    subjects = [subject_of(key) for key in (route.key(request), route.plain_key(request))]
    rules = [Rule(Kind.URL, subject.target, subject.host) for subject in subjects]
    if route.searches is not None:
        # What is stored for several queries may be for this one.
        rules.append(Rule(Kind.PATH, subjects[0].path, subjects[0].host))
    return rules


async def purge_here(worker: Worker, question: Mapping[str, Any]) -> dict[str, Any]:
    """Do a worker's part of a purge."""
    if not worker.purged(question["id"]):
        return {"caches": {}}
    try:
        asked = asked_of(question["asked"])
        purge = Purge(rules_of(asked, worker), asked.soft, UnixTime(question["at"]))
    except PurgeError as error:
        return {"error": str(error)}
    caches = await worker.purge(purge, leads=question["leads"], failed=question["failed"])
    if question["leads"]:
        worker.count_purge(asked, failed=any(caches.values()), logged=question["by"] == "client")
    return {"caches": caches}


def carried_by(uplink: Uplink) -> Callable[[Asked], Awaitable[Done]]:
    """Return what has the parent carry purges out."""

    async def carry(asked: Asked) -> Done:
        try:
            told = json.loads(await uplink.ask(json.dumps(asked.plain()).encode()))
        except OSError as error:
            return Done(error=str(error))
        return Done(told["failed"], told["error"], tuple(told["caches"]))

    return carry


class Purging:
    """Carries purges out for all workers."""

    def __init__(self, ask_one: AskOne, tell_all: TellAll) -> None:
        self._ask_one = ask_one
        self._tell_all = tell_all

    async def carry_logged(self, asked: Asked) -> Done:
        """Purge for the admin listener."""
        return await self.carry(asked, by="admin")

    async def answer(self, question: bytes) -> bytes:
        """Carry out what a worker's client asks for; JSON in and out, and nothing is raised."""
        try:
            done = await self.carry(asked_of(json.loads(question)))
        except Exception as error:  # noqa: BLE001  whatever it was: the parent goes on
            done = Done(error=f"{type(error).__name__}: {error}")
        return json.dumps(asdict(done)).encode()

    async def carry(self, asked: Asked, by: str = "client") -> Done:
        """Purge; return when it holds for all, or why it does not."""
        question = {"ask": PURGE, "id": token_hex(8), "asked": asked.plain(), "at": clock(), "leads": True, "by": by}
        told = await self._ask_one(json.dumps({**question, "failed": []}).encode())
        if told is None:
            return Done(error="no worker is ready, or none answered in time")
        led = json.loads(told)
        if "error" in led:
            return Done(error=str(led["error"]))
        failed = {alias: why for alias, why in led["caches"].items() if why is not None}
        following = {**question, "leads": False, "failed": list(failed)}
        for each in await self._tell_all(json.dumps(following).encode()):
            said = {} if each.answer is None else json.loads(each.answer)
            if "error" in said:
                failed[f"worker {each.number}"] = str(said["error"])
        done = tuple(alias for alias, why in led["caches"].items() if why is None)
        if failed:
            _log.warning("purge %s failed: %s", asked.shown(), failed)
        return Done(failed, caches=done)
