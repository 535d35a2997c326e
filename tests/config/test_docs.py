"""Does docs/configuration.md name every setting, with the default that the model has?"""

from __future__ import annotations

import re
from pathlib import Path

from proxy.config.load import OPTIONS, VARIABLES
from proxy.config.model import CacheConfig, Config, RouteConfig, SiteConfig, UpstreamConfig
from proxy.config.reader import Leaf, leaves
from proxy.config.show import show_value

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
ROW = re.compile(r"^\| `([A-Za-z0-9_.<>\[\]]+)` \| (?:`([^`]*)`|(required)) \| (.+) \|$", re.MULTILINE)
REQUIRED = {"upstream.url", "CACHES.<alias>.BACKEND", "sites.<name>.hosts"}


def documented() -> list[tuple[str, str]]:
    return [
        (path, default or required) for path, default, required, _ in ROW.findall(PAGE.partition("## Every setting")[2])
    ]


def defaults() -> dict[str, str]:
    config = Config(
        upstream=UpstreamConfig(url=""),
        CACHES={"<alias>": CacheConfig(BACKEND="")},
        routes=(RouteConfig(),),
        sites={"<name>": SiteConfig(hosts=())},
    )
    shown = {_path(leaf): show_value(leaf.value, leaf.type) for leaf in leaves(config)}
    shown["sites"] = show_value(Config().sites)
    return {path: "required" if path in REQUIRED else value for path, value in shown.items()}


def _path(leaf: Leaf) -> str:
    return ".".join("[]" if isinstance(key, int) else key for key in leaf.keys).replace(".[]", "[]")


def test_every_setting_is_documented_once_with_its_default() -> None:
    assert sorted(documented()) == sorted(defaults().items())


def test_options_and_variables_are_documented() -> None:
    for path, option in OPTIONS.items():
        assert f"| `{path}` | `{option}" in PAGE
    for variable in VARIABLES:
        assert f"`{variable}`" in PAGE
