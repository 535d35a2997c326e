"""Do the images and the composition say what our own code, configuration and files say? No engine runs them here."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from proxy.cli import Parts, main
from proxy.config.addresses import Tcp, is_loopback, parse_listener, parse_origin
from proxy.config.load import load
from proxy.config.model import Config
from tests.repository.files import ROOT, Stage, dockerfile, pyproject, text

COMPOSE: dict[str, Any] = yaml.safe_load(text("docker-compose.yml"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SIDECAR = SERVICES["sitecache"]
IMAGE = list(dockerfile().values())[-1]

NO_SETTINGS = {name: None for name in os.environ if name.startswith("SITECACHE_")}


def _tcp(address: str) -> Tcp:
    listener = parse_listener(address)
    assert isinstance(listener, Tcp)
    return listener


# The Dockerfile.


def test_the_default_image_is_the_proxy() -> None:
    assert IMAGE.name == "sitecache"


def test_the_images_hold_what_was_built_elsewhere_and_no_installer() -> None:
    for name in ("sitecache", "demo"):
        assert dockerfile()[name].base == "python:${PYTHON}-slim"
        assert dockerfile()[name].all("RUN") == []


def _copies() -> Iterator[tuple[Stage, str]]:
    for stage in dockerfile().values():
        for copy in stage.all("COPY"):
            if "--from=" not in copy:
                for source in copy.split()[:-1]:
                    yield stage, source


def test_what_is_copied_exists_and_is_let_through_by_the_ignore_file() -> None:
    let_through = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    sources = [source for _, source in _copies()]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source in let_through, source


def test_stages_copy_from_stages_that_exist_what_these_made() -> None:
    for stage in dockerfile().values():
        for copy in stage.all("COPY"):
            if (matched := re.match(r"--from=(\S+) (\S+)", copy)) is not None:
                assert any(matched[2] in run for run in dockerfile()[matched[1]].all("RUN"))


def test_the_images_install_extras_that_there_are() -> None:
    extras = pyproject()["project"]["optional-dependencies"]
    runs = [run for stage in dockerfile().values() for run in stage.all("RUN")]
    asked = {extra for run in runs for group in re.findall(r"\[([a-z,]+)\]", run) for extra in group.split(",")}
    assert asked <= set(extras)
    assert all("--constraint deploy/requirements.lock" in run for run in runs if "pip wheel" in run)


@pytest.mark.parametrize("name", ["sitecache", "demo"])
def test_an_image_does_not_run_as_root_and_its_user_is_a_number(name: str) -> None:
    user, _, group = dockerfile()[name].last("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_the_image_starts_the_proxy_with_the_environment_alone() -> None:
    name, *arguments = IMAGE.command("ENTRYPOINT") + IMAGE.command("CMD")
    assert name in pyproject()["project"]["scripts"]
    env = {**IMAGE.env, "SITECACHE_UPSTREAM": "http://127.0.0.1:8000"}
    served: list[Config] = []

    def run(config: Config, _: object) -> int:
        served.append(config)
        return 0

    result = CliRunner().invoke(main, arguments, obj=Parts(run), env=NO_SETTINGS | env)
    assert (result.exit_code, result.output.count("config error")) == (0, 0), result.output
    assert [_tcp(address).port for address in served[0].listen] == [int(IMAGE.last("EXPOSE"))]
    assert is_loopback(parse_listener(served[0].admin.listen))


def test_without_an_origin_the_image_says_what_is_missing() -> None:
    result = CliRunner().invoke(main, IMAGE.command("CMD"), env=NO_SETTINGS | IMAGE.env)
    assert result.exit_code == 2
    assert "upstream" in result.output


def test_the_health_check_asks_the_admin_listener_for_its_life() -> None:
    command = IMAGE.command("HEALTHCHECK")
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "SITECACHE_ADMIN" in command[2]
    assert "SITECACHE_ADMIN" in IMAGE.env
    assert "/livez" in command[2]


# The composition.


def test_the_four_services_are_there() -> None:
    assert set(SERVICES) == {"site", "sitecache", "redis", "prometheus"}


@pytest.mark.parametrize("name", ["site", "sitecache"])
def test_a_service_is_built_from_a_stage_of_the_dockerfile(name: str) -> None:
    build = SERVICES[name]["build"]
    assert build["context"] == "."
    assert build["target"] in dockerfile()


def _mounts() -> Iterator[tuple[str, str, str]]:
    for name, service in SERVICES.items():
        for mount in service.get("volumes", ()):
            source, target, mode = mount.split(":")
            assert mode == "ro"
            yield name, source, target


def test_what_is_mounted_exists() -> None:
    assert [source for _, source, _ in _mounts() if not (ROOT / source).is_file()] == []


def _mounted(name: str, target: str) -> Path:
    return ROOT / next(source for service, source, there in _mounts() if (service, there) == (name, target))


def _sidecar() -> Config:
    file = _mounted("sitecache", SIDECAR["environment"]["SITECACHE_CONFIG"])
    return load(file, {**IMAGE.env, **SIDECAR["environment"]}, {}).config


def test_the_sidecar_configuration_passes_the_check() -> None:
    file = _mounted("sitecache", SIDECAR["environment"]["SITECACHE_CONFIG"])
    result = CliRunner().invoke(main, ["check", str(file)], env=NO_SETTINGS)
    assert result.exit_code == 0, result.output


def test_the_file_says_what_the_image_says_so_that_nothing_in_it_is_overridden_unseen() -> None:
    file = _mounted("sitecache", SIDECAR["environment"]["SITECACHE_CONFIG"])
    assert load(file, {}, {}).config == _sidecar()


def test_sidecar_and_site_share_loopback_and_the_site_is_reached_through_the_sidecar_alone() -> None:
    assert SIDECAR["network_mode"] == SERVICES["prometheus"]["network_mode"] == "service:site"
    bind = SERVICES["site"]["command"][SERVICES["site"]["command"].index("--bind") + 1]
    origin = parse_origin(_sidecar().upstream.url).address
    assert origin == _tcp(bind)
    assert is_loopback(_tcp(bind))


def test_published_ports_are_those_of_the_sidecar_and_of_prometheus() -> None:
    published = {int(port.rpartition(":")[2]) for port in SERVICES["site"]["ports"]}
    assert published == {_tcp(_sidecar().listen[0]).port, 9090}
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["site"]


def test_prometheus_scrapes_the_admin_listener() -> None:
    scraped = yaml.safe_load(_mounted("prometheus", "/etc/prometheus/prometheus.yml").read_text())
    jobs = scraped["scrape_configs"]
    assert [job["static_configs"][0]["targets"] for job in jobs] == [[_sidecar().admin.listen]]
    assert all(job.get("metrics_path", "/metrics") == "/metrics" for job in jobs)


def test_the_cache_fits_into_the_memory_limit_and_draining_into_the_grace_period() -> None:
    config = _sidecar()
    most = sum(cache.OPTIONS.MAX_BYTES or 0 for cache in config.CACHES.values()) * config.workers
    assert most <= int(SIDECAR["mem_limit"].removesuffix("m")) * 2**20 // 2
    assert config.timeouts.drain < int(SIDECAR["stop_grace_period"].removesuffix("s"))


def test_the_site_settings_keep_sessions_in_redis() -> None:
    environment = SERVICES["site"]["environment"]
    module = environment["DJANGO_SETTINGS_MODULE"]
    file = _mounted("site", f"{environment['PYTHONPATH']}/{module}.py")
    code = f"import {module} as s; print(s.CACHES['default']['LOCATION'], s.SESSION_ENGINE, s.ROOT_URLCONF)"
    env = {**os.environ, **environment, "PYTHONPATH": f"{file.parent}:{ROOT}"}
    printed = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True).stdout
    assert printed.split() == ["redis://redis:6379/0", "django.contrib.sessions.backends.cache", "demo.urls"]


def test_nothing_local_is_in_the_build_context() -> None:
    patterns = [line for line in text(".dockerignore").splitlines() if line and not line.startswith(("#", "!"))]
    assert patterns[0] == "*"
    assert any(fnmatch.fnmatch("proxy/__pycache__", pattern) for pattern in patterns)
