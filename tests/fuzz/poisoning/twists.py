"""How attackers twist a plain request: a grammar of spellings, fields and bodies that servers do not read alike.

A twist is a name and what it takes, so that a request can be told, and made smaller by leaving twists out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Draft:
    """A request that is being made."""

    host: str
    target: str = "/"
    method: str = "GET"
    version: str = "1.1"
    fields: Pairs = ()
    body: str = ""
    ends: Pairs = field(default=(("User-Agent", "plain"), ("Accept", "*/*")))
    names_host: bool = True

    def raw(self) -> bytes:
        host = [("Host", self.host)] if self.names_host else []
        lines = [f"{self.method} {self.target} HTTP/{self.version}"]
        lines += [f"{name}: {value}" for name, value in (*host, *self.fields, *self.ends)]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode("latin-1")

    def adding(self, *fields: tuple[str, str]) -> Draft:
        return replace(self, fields=(*self.fields, *fields))


@dataclass(frozen=True)
class Twist:
    """One step away from a plain request."""

    kind: str
    takes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(map(repr, self.takes))})"

    def apply(self, draft: Draft) -> Draft:
        return _DONE[self.kind](draft, *self.takes)


def _respelled_name(draft: Draft, name: str, separator: str, value: str) -> Draft:
    """Spell a name as CGI folds it."""
    return draft.adding((name.replace("-", separator), value))


def _escaped(draft: Draft, place: str, upper: str) -> Draft:
    """Escape one character of the target that needs no escape."""
    target = draft.target
    candidates = [i for i, letter in enumerate(target) if letter.isalnum() and target[max(0, i - 2) : i].find("%") < 0]
    if not candidates:
        return draft
    at = candidates[int(place) % len(candidates)]
    code = f"%{ord(target[at]):02x}"
    return replace(draft, target=target[:at] + (code.upper() if upper else code) + target[at + 1 :])


def _in_path(draft: Draft, old: str, new: str) -> Draft:
    path, mark, query = draft.target.partition("?")
    return replace(draft, target=path.replace(old, new) + mark + query)


def _more_path(draft: Draft, more: str) -> Draft:
    path, mark, query = draft.target.partition("?")
    return replace(draft, target=path + more + mark + query)


def _more_query(draft: Draft, more: str) -> Draft:
    return replace(draft, target=draft.target + ("&" if "?" in draft.target else "?") + more)


def _query(draft: Draft, old: str, new: str) -> Draft:
    path, mark, query = draft.target.partition("?")
    return replace(draft, target=path + mark + query.replace(old, new))


def _absolute(draft: Draft, scheme: str, host: str) -> Draft:
    """Ask in absolute form; ``@`` in the host stands for the plain one."""
    return replace(draft, target=f"{scheme}://{host.replace('@', draft.host)}{draft.target}")


def _host(draft: Draft, how: str) -> Draft:
    return replace(draft, host=HOSTS[how](draft.host))


HOSTS: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "title": str.title,
    "port": lambda host: host + ":80",
    "colon": lambda host: host + ":",
    "dot": lambda host: host + ".",
    "dot-port": lambda host: host + ".:80",
    "zeros": lambda host: host + ":0080",
    "https-port": lambda host: host + ":443",
    "tab": lambda host: "\t" + host + " ",
    "escaped": lambda host: host.replace("t", "%74", 1),
    "dots": lambda host: host + "..",
    "user": lambda host: "evil@" + host,
    "comma": lambda host: host + ", evil.test",
    "path": lambda host: host + "/evil",
}


def _without_host(draft: Draft, version: str) -> Draft:
    return replace(draft, names_host=False, version=version)


def _method(draft: Draft, method: str) -> Draft:
    return replace(draft, method=method)


def _with_body(draft: Draft, body: str, how: str) -> Draft:
    if how == "chunked":
        chunked = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
        return replace(draft.adding(("Transfer-Encoding", "chunked")), body=chunked)
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    return replace(draft.adding(kind, ("Content-Length", str(len(body)))), body=body)


def _added(draft: Draft, name: str, value: str) -> Draft:
    return draft.adding((name, value))


def _spaced(draft: Draft, name: str, before: str, value: str) -> Draft:
    return draft.adding((name, before + value + before))


def _respelled_value(draft: Draft, how: str) -> Draft:
    """Spell the victim's own values otherwise."""
    made = tuple((name, SPELLINGS[how](value)) for name, value in draft.fields)
    return replace(draft, fields=made)


SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "spaces": lambda value: value.replace(",", " ,\t").replace(";", " ; "),
    "empty-members": lambda value: f",{value},,",
    "weights": lambda value: re.sub(r"(?<=[a-z])(?=,|$)", ";q=1.0", value),
    "doubled": lambda value: f"{value}, {value}",
    "quoted": lambda value: f'"{value}"',
}


def _split(draft: Draft, name: str, more: str) -> Draft:
    """Say a field on two lines."""
    return replace(draft, fields=(*draft.fields, (name, more)))


def _hop(draft: Draft, names: str) -> Draft:
    return draft.adding(("Connection", names))


def _version(draft: Draft, version: str) -> Draft:
    return replace(draft, version=version)


_DONE: Mapping[str, Callable[..., Draft]] = {
    "name": _respelled_name,
    "escape": _escaped,
    "in-path": _in_path,
    "more-path": _more_path,
    "more-query": _more_query,
    "query": _query,
    "absolute": _absolute,
    "host": _host,
    "without-host": _without_host,
    "method": _method,
    "body": _with_body,
    "field": _added,
    "spaced": _spaced,
    "value": _respelled_value,
    "line": _split,
    "hop": _hop,
    "version": _version,
}
