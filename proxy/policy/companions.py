"""URLs that frameworks answer beside a page: a write to one makes the page and all of them stale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Companion:
    """Where the data of a page lies: ``/todo.data`` beside ``/todo``."""

    suffix: bytes
    """What is added to the path of the page."""
    root: tuple[bytes, ...] = ()
    """The paths of the data of ``/``."""
    ending: bytes = b""
    """How the paths of the pages end that have such data."""

    def page(self, path: bytes) -> bytes | None:
        """Return the path of the page that the data at a path are of; None where that is none of this kind."""
        if path in self.root:
            return b"/"
        return path.removesuffix(self.suffix) or b"/" if path.endswith(self.ending + self.suffix) else None

    def beside(self, page: bytes) -> Sequence[bytes]:
        """Return the paths of the data of a page."""
        if page == b"/":
            return self.root
        return (page.rstrip(b"/") + self.suffix,) if page.endswith(self.ending) else ()


def companions(path: bytes, kinds: Iterable[Companion]) -> tuple[bytes, ...]:
    """Return the paths of all that lies beside a path, the page among it; the path itself is left out."""
    kinds = tuple(kinds)
    pages = [page for page in (kind.page(path) for kind in kinds) if page is not None]
    page = pages[0] if pages else path
    found = dict.fromkeys((page, *(beside for kind in kinds for beside in kind.beside(page))))
    found.pop(path, None)
    return tuple(found)
