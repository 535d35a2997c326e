"""Do the files for systemd and Kubernetes say what our own code and configuration say, and what these read?"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config.addresses import Tcp, parse_listener
from proxy.config.load import load
from proxy.config.model import Config
from proxy.ops.health import health_pages
from proxy.ops.readiness import Readiness
from tests.repository.files import ROOT, dockerfile, text

IMAGE = list(dockerfile().values())[-1]
UNIT = ROOT / "deploy" / "systemd" / "sitecache.service"
INSTALLED = "/opt/sitecache/bin/sitecache"


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


# systemd.


@pytest.fixture(scope="module")
def unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser["Service"]


def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace(INSTALLED, sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(here)], capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


def test_the_unit_is_as_closed_as_it_was(tmp_path: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:]


def test_the_unit_runs_commands_that_there_are(unit: configparser.SectionProxy) -> None:
    assert unit["ExecStart"] == f"{INSTALLED} serve --config /etc/sitecache/site.yaml"
    assert unit["ExecStartPre"] == f"{INSTALLED} check /etc/sitecache/site.yaml"
    assert unit["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_systemd_waits_longer_than_what_runs_may_take(unit: configparser.SectionProxy) -> None:
    assert seconds(unit["TimeoutStopSec"]) > Config().timeouts.drain + 5


def test_there_may_be_as_many_files_as_connections(unit: configparser.SectionProxy) -> None:
    assert int(unit["LimitNOFILE"]) > 2 * Config().limits.connections


def test_the_files_that_are_named_exist() -> None:
    named = re.findall(r"\b((?:deploy|config)/[\w./-]*\w)", UNIT.read_text() + text("deploy/kubernetes/sidecar.yaml"))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


# Kubernetes.

OBJECTS: dict[str, dict[str, Any]] = {
    one["kind"]: one for one in yaml.safe_load_all(text("deploy/kubernetes/sidecar.yaml"))
}
POD: dict[str, Any] = OBJECTS["Deployment"]["spec"]["template"]["spec"]
SIDECAR: dict[str, Any] = POD["initContainers"][0]
PORTS = {port["name"]: port["containerPort"] for port in SIDECAR["ports"]}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "site.yaml"
    file.write_text(OBJECTS["ConfigMap"]["data"]["site.yaml"])
    environ = {each["name"]: each.get("value", "a-secret-of-some-length") for each in SIDECAR["env"]}
    return load(file, {**IMAGE.env, **environ}, {}).config


def tcp(address: str) -> Tcp:
    listener = parse_listener(address)
    assert isinstance(listener, Tcp)
    return listener


def test_the_configuration_is_one_and_is_mounted_where_it_is_looked_for(config: Config) -> None:
    (file,) = [each["value"] for each in SIDECAR["env"] if each["name"] == "SITECACHE_CONFIG"]
    (mount,) = SIDECAR["volumeMounts"]
    (volume,) = POD["volumes"]
    assert mount["name"] == volume["name"]
    assert volume["configMap"]["name"] == OBJECTS["ConfigMap"]["metadata"]["name"]
    assert file == f"{mount['mountPath']}/site.yaml"


def test_the_ports_are_those_it_listens_on(config: Config) -> None:
    assert [tcp(address).port for address in config.listen] == [PORTS["http"]]
    assert tcp(config.admin.listen).port == PORTS["admin"]
    assert config.admin.token is not None
    (port,) = OBJECTS["Service"]["spec"]["ports"]
    assert port["targetPort"] == "http"
    annotations = OBJECTS["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(PORTS["admin"])


def test_the_application_is_where_it_is_looked_for(config: Config) -> None:
    (application,) = POD["containers"]
    assert config.upstream is not None
    bound = application["command"][application["command"].index("--bind") + 1]
    assert config.upstream.url == f"http://{bound}"
    assert bound.startswith("127.0.0.1:")


@pytest.mark.parametrize("probe", PROBES)
def test_probes_ask_for_pages_that_are_open_to_all(probe: str) -> None:
    pages = {page.path for page in health_pages(Readiness) if page.open_to_all}
    asked = SIDECAR[probe]["httpGet"]
    assert asked["path"] in pages
    assert asked["port"] in PORTS


def test_only_what_hands_out_traffic_goes_by_readiness() -> None:
    assert [SIDECAR[probe]["httpGet"]["path"] for probe in PROBES] == ["/livez", "/livez", "/readyz"]


def test_the_grace_period_is_longer_than_the_drain(config: Config) -> None:
    (paused,) = re.findall(r"sleep\((\d+)\)", SIDECAR["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert POD["terminationGracePeriodSeconds"] > int(paused) + config.timeouts.drain + 5


def test_the_memory_limit_is_above_what_the_caches_may_take(config: Config) -> None:
    units = {"Mi": 2**20, "Gi": 2**30}
    limit = SIDECAR["resources"]["limits"]["memory"]
    sizes = [getattr(cache.OPTIONS, "MAX_BYTES", 0) for cache in config.CACHES.values()]
    assert 2 * sum(sizes) <= int(limit[:-2]) * units[limit[-2:]]
    assert "cpu" in SIDECAR["resources"]["requests"]


def test_the_sidecar_has_no_rights_it_does_not_need() -> None:
    security = SIDECAR["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert int(IMAGE.last("USER").partition(":")[0]) > 0


def test_the_secret_is_not_in_the_file() -> None:
    assert "token: ${ADMIN_TOKEN}" in OBJECTS["ConfigMap"]["data"]["site.yaml"]
    (token,) = [each for each in SIDECAR["env"] if each["name"] == "ADMIN_TOKEN"]
    assert set(token) == {"name", "valueFrom"}


def test_selectors_find_the_pod() -> None:
    labels = OBJECTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert OBJECTS["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert OBJECTS["Service"]["spec"]["selector"] == labels
