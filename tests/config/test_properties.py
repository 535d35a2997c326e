"""Whatever the file holds, it is a configuration or a list of faults, one line each."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import chdir
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config.load import Loaded, load
from proxy.config.model import (
    CacheConfig,
    CacheOptions,
    Config,
    CookiePreset,
    FieldLifetimeConfig,
    FileOptions,
    PageData,
    QueryPreset,
    RouteConfig,
    SiteConfig,
    StaleMarks,
    UpstreamConfig,
)
from proxy.config.pitfalls import warnings
from proxy.config.purging import PurgeDialect
from proxy.config.rules import KINDS
from proxy.config.show import show
from proxy.config.units import Bytes, Seconds, parse_bytes, parse_seconds, show_bytes, show_seconds
from proxy.errors import ConfigError

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _sections() -> list[Any]:
    found, left = [], [Config, CacheConfig, CacheOptions, FileOptions, UpstreamConfig, RouteConfig, SiteConfig]
    while left:
        cls = left.pop()
        found.append(cls)
        left += [kind for kind in get_type_hints(cls).values() if is_dataclass(kind)]
    return found


NAMES = sorted({field.name for cls in _sections() for field in fields(cls)}) + ["default", "<<", "404", "max_age", ""]
WORDS = [
    "off", "auto", "json", "30s", "5m", "64KiB", "-1", "1e9", ":8080", "[::1]:0", "http://a", "unix:/a",
    "${A}", "${B:-x}", "$${", "${",
    "locmem", "dummy", "redis", "filebased", "my.Own",
    "10.0.0.0/8", "*", "default", "null", "\ud800", "\n", "\x00", "9" * 5000, "http://u:p@h/x?y",
]  # fmt: skip
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**6),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=8),
    st.dates(),
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
files = st.dictionaries(st.sampled_from(NAMES), trees, max_size=6)


def outcome(data: bytes, folder: Path, environ: dict[str, str]) -> Loaded | None:
    """Load what is in ``data``; every fault must be one printable line."""
    (folder / "site.yaml").write_bytes(data)
    with chdir(folder):
        try:
            return load(Path("site.yaml"), environ, {})
        except ConfigError as error:
            lines = list(map(str, error.faults))
    assert lines
    assert all(line.isprintable() and line.startswith("config error: ") for line in lines)
    return None


@QUICK
@given(tree=files | trees, a=st.text(max_size=10))
def test_any_structure_is_a_configuration_or_faults(tree: object, a: str, tmp_path: Path) -> None:
    outcome(yaml.safe_dump(tree).encode("utf-8", "surrogatepass"), tmp_path, {"A": a})


@QUICK
@given(tree=files)
def test_any_valid_structure_shows_and_loads_again(tree: dict[str, Any], tmp_path: Path) -> None:
    good = outcome(yaml.safe_dump({"upstream": "http://origin", **tree}).encode("utf-8", "surrogatepass"), tmp_path, {})
    if good is None:
        return
    assert all(line.isprintable() for line in warnings(good, 1, 1))
    again = outcome(show(good).encode(), tmp_path, {})
    assert again is not None
    assert again.config == good.config or "***" in show(good)


OWN_OPTIONS = st.dictionaries(
    st.text(max_size=4) | st.sampled_from(["db", "password", "behaviors", "null", "<<", "1"]), trees, max_size=4
)


@QUICK
@given(options=OWN_OPTIONS, location=scalars | st.lists(st.text(max_size=5), max_size=2))
def test_any_options_of_a_backend_show_and_load_again(options: object, location: object, tmp_path: Path) -> None:
    entry = {"BACKEND": "redis", "OPTIONS": options, "LOCATION": location}
    text = yaml.safe_dump({"upstream": "http://origin", "CACHES": {"default": entry}})
    good = outcome(text.encode("utf-8", "surrogatepass"), tmp_path, {})
    if good is None:
        return
    again = outcome(show(good).encode(), tmp_path, {})
    assert again is not None
    assert again.config == good.config or "***" in show(good)


@QUICK
@given(data=st.binary(max_size=60) | st.text(alphabet="a:-[]{}&*!|>'\"%@#?, \n\t<0~$", max_size=60).map(str.encode))
def test_any_bytes_are_faults(data: bytes, tmp_path: Path) -> None:
    assert outcome(data, tmp_path, {}) is None


def _leaf_values() -> dict[tuple[str, ...], st.SearchStrategy[Any]]:
    durations = st.integers(1, 10**6).map(lambda n: n / 1000) | st.sampled_from(["1s", "2h", "1w"])
    return {
        ("timeouts", "header"): durations,
        ("stale_if_error",): durations,
        ("limits", "body"): st.integers(0, 2**50) | st.sampled_from(["1KiB", "3MB"]),
        ("limits", "headers"): st.integers(1, 2**31 - 1),
        ("access_log",): st.sampled_from(["off", "text", "json"]),
        ("listen",): st.lists(
            st.integers(1, 65535).map(lambda port: f"[::1]:{port}"), min_size=1, max_size=3, unique=True
        ),
        ("CACHE_MIDDLEWARE_KEY_PREFIX",): st.text(max_size=6)
        .filter(str.isprintable)
        .map(lambda text: text.replace("$", "")),
        ("CACHES", "default"): st.fixed_dictionaries(
            {"BACKEND": st.sampled_from(["locmem", "dummy", "filebased"])},
            optional={
                "TIMEOUT": st.none() | durations,
                "VERSION": st.integers(0, 9),
                "OPTIONS": st.just({"MAX_BYTES": "5MiB"}),
            },
        ),
    }


@QUICK
@given(data=st.data())
def test_what_check_shows_means_what_was_loaded(data: st.DataObject, tmp_path: Path) -> None:
    tree: dict[str, Any] = {"upstream": "http://127.0.0.1:1"}
    for keys, values in _leaf_values().items():
        if data.draw(st.booleans()):
            inner = tree
            for key in keys[:-1]:
                inner = inner.setdefault(key, {})
            inner[keys[-1]] = data.draw(values)
    first = outcome(yaml.safe_dump(tree, allow_unicode=True).encode(), tmp_path, {})
    assert first is not None
    again = outcome(show(first).encode(), tmp_path, {})
    assert again is not None
    assert again.config == first.config


@given(value=st.floats(0.001, 2**31) | st.integers(0, 2**31).map(float))
def test_durations_read_back_as_they_were_shown(value: float) -> None:
    assert parse_seconds(show_seconds(value)) == value


@given(value=st.integers(0, 2**53))
def test_sizes_read_back_as_they_were_shown(value: int) -> None:
    assert parse_bytes(show_bytes(value)) == value


def test_every_field_has_a_type_the_reader_knows() -> None:
    known = {object, str, bool, int, Seconds, Bytes, tuple[str, ...], tuple[RouteConfig, ...]}
    known |= {Mapping[str, CacheConfig], Mapping[str, object], Mapping[str, str], Mapping[str, Seconds]}
    known |= {Mapping[str, SiteConfig], tuple[CookiePreset, ...], tuple[QueryPreset, ...], tuple[PurgeDialect, ...]}
    known |= {tuple[PageData, ...], tuple[StaleMarks, ...], tuple[FieldLifetimeConfig, ...]}
    for cls in _sections():
        for name, hint in get_type_hints(cls).items():
            chosen = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
            assert len([kind for kind in chosen if kind is not type(None)]) == 1 or (cls, name) in KINDS
            for kind in chosen:
                word = isinstance(kind, type) and issubclass(kind, Enum)
                fits = kind in known or kind is type(None) or is_dataclass(kind) or word
                assert fits, f"{cls.__name__}.{name}"
