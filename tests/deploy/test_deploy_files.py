"""What can be told of images, job scripts and manifests without a cluster: linters and schemas."""

from __future__ import annotations

import copy
import gzip
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hcs.engine.cluster import ENVIRONMENT

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
SCHEMAS = json.loads(gzip.decompress((Path(__file__).parent / "data" / "schemas.json.gz").read_bytes()))
DOCKERFILES = ("Dockerfile", "Dockerfile.gpu")


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def lint(program: str, *paths: Path) -> None:
    """Run a linter that stands beside this Python, or on the PATH; skips where it is not installed."""
    found = shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (the extra dev)")
    shown = subprocess.run([found, *map(str, paths)], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stdout + shown.stderr


def test_shell_scripts_are_sound() -> None:
    scripts = [path for path in DEPLOY.rglob("*") if path.suffix in (".sh", ".sbatch")]
    assert scripts
    lint("shellcheck", *scripts)


def test_images_are_sound() -> None:
    lint("hadolint", *(DEPLOY / name for name in DOCKERFILES))


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_copies_and_installs_what_there_is(name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.M) for word in line.split()[:-1]]
    assert copied
    assert all((REPOSITORY / path).exists() for path in copied)
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    (extras,) = re.findall(r"'\.\[(.+)\]'", text)
    for extra in extras.split(","):
        assert re.search(rf"^{re.escape(extra)} = \[", project, re.M), extra
    for variable, value in ENVIRONMENT.items():
        assert f"{variable}={value}" in text


def test_the_slurm_script_sets_what_hcs_sets_for_its_own_workers() -> None:
    text = (DEPLOY / "slurm" / "hcs.sbatch").read_text(encoding="utf-8")
    assert all(f" {variable}={value}" in text for variable, value in ENVIRONMENT.items())


def problems(document: dict[str, Any]) -> list[str]:
    """What the schema of its kind finds in a manifest."""
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema (the extra dev)")
    validator = jsonschema.Draft202012Validator(SCHEMAS[document["kind"]])
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_fit_their_schemas(path: Path) -> None:
    found = documents(path)
    assert found
    for document in found:
        assert not problems(document)


def test_the_schemas_find_mistakes() -> None:
    (cluster,) = documents(DEPLOY / "kubernetes" / "cluster.yaml")
    container = ("spec", "worker", "spec", "containers", 0)
    for where, name, value in [
        (("spec", "worker"), "replica", 2),
        (("spec", "worker"), "replicas", "two"),
        (container, "volumeMount", []),
        (container, "args", [1]),
        (("spec", "scheduler", "service", "ports", 0), "port", "8786/tcp"),
    ]:
        broken = copy.deepcopy(cluster)
        node: Any = broken
        for step in where:
            node = node[step]
        node[name] = value
        assert problems(broken), name
    (job,) = documents(DEPLOY / "kubernetes" / "run.yaml")
    job["spec"]["template"]["spec"]["volume"] = []
    assert problems(job)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_what_pods_mount_is_declared(path: Path) -> None:
    (claim,) = documents(DEPLOY / "kubernetes" / "storage.yaml")
    for document in documents(path):
        for pod in pods(document):
            volumes = {volume["name"] for volume in pod.get("volumes", ())}
            mounted = {mount["name"] for c in pod["containers"] for mount in c.get("volumeMounts", ())}
            assert mounted == volumes
            claims = {v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
            assert claims <= {claim["metadata"]["name"]}
            assert {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v} == {"hcs-tls"}


def pods(node: Any) -> list[dict[str, Any]]:
    """Every pod specification in a manifest."""
    if isinstance(node, list):
        return [pod for item in node for pod in pods(item)]
    if not isinstance(node, dict):
        return []
    return [node] if "containers" in node else [pod for item in node.values() for pod in pods(item)]


@pytest.mark.parametrize("name", ["cluster.yaml", "cluster-gpu.yaml"])
def test_the_service_finds_the_scheduler(name: str) -> None:
    (cluster,) = documents(DEPLOY / "kubernetes" / name)
    service, scheduler = cluster["spec"]["scheduler"]["service"], pods(cluster["spec"]["scheduler"])[0]
    assert service["selector"]["dask.org/cluster-name"] == cluster["metadata"]["name"]
    container = scheduler["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert {port["targetPort"]: port["port"] for port in service["ports"]} == ports
    (run,) = documents(DEPLOY / "kubernetes" / "run.yaml")
    arguments = pods(run)[0]["containers"][0]["args"]
    address = arguments[arguments.index("--scheduler") + 1]
    assert arguments[arguments.index("--certificates") + 1] == "/tls"
    worker = pods(cluster["spec"]["worker"])[0]["containers"][0]
    assert worker["args"][0] == address
    assert address == f"tls://{cluster['metadata']['name']}-scheduler:{ports['tcp-comm']}"


def test_a_gpu_worker_asks_for_one_gpu() -> None:
    (cluster,) = documents(DEPLOY / "kubernetes" / "cluster-gpu.yaml")
    (worker,) = pods(cluster["spec"]["worker"])
    (container,) = worker["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    (cpu,) = documents(DEPLOY / "kubernetes" / "cluster.yaml")
    assert container["args"] == pods(cpu["spec"]["worker"])[0]["containers"][0]["args"]
    assert "nvidia.com/gpu" not in json.dumps(cpu)


def test_the_readme_names_files_that_are_there() -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:deploy|configs)/[\w./-]+\w", text))
    assert {f"deploy/{name}" for name in DOCKERFILES} <= named
    assert all((REPOSITORY / path).exists() for path in named)
