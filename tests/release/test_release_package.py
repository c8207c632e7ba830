"""What a stranger installs: the wheel and the source archive, in an environment of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def call(*command: object, cwd: Path, clean: bool = False) -> str:
    """Standard output of a command; ``clean`` hides this checkout from it."""
    environment = {k: v for k, v in os.environ.items() if not (clean and k == "PYTHONPATH")}
    texts = [str(part) for part in command]
    done = subprocess.run(texts, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Source archive and wheel, made from the files that git knows, as a clone has them."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("needs a git checkout, to pack what a clone has")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    names = call("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY).split("\0")
    for name in filter(None, names):
        if (REPOSITORY / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((REPOSITORY / name).read_bytes())
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source, cwd=source)
    return {path.suffix: path for path in out.iterdir()}


@pytest.fixture(scope="module")
def installed(archives: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``bin`` of a new environment that holds the wheel; what hcs needs comes from the environment of the tests."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(archives[".whl"]) as wheel:
        wheel.extractall(packages)
    (packages / "needs.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "bin"


def test_the_archives_hold_what_runs_and_nothing_else(archives: dict[str, Path]) -> None:
    with zipfile.ZipFile(archives[".whl"]) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"hcs"}
    for wanted in ("hcs/py.typed", "hcs/segment/weights/fast.safetensors", "hcs/report/assets/main.js"):
        assert wanted in names
    with tarfile.open(archives[".gz"]) as source:
        assert any(name.endswith("/LICENSE") for name in source.getnames())


def test_the_wheel_runs_where_nothing_of_this_checkout_is(installed: Path, tmp_path: Path) -> None:
    where = call(installed / "python", "-c", "import hcs; print(hcs.__file__)", cwd=tmp_path, clean=True)
    assert where.startswith(str(installed.parent))
    main = "import sys; from hcs.cli import main; sys.argv[0] = 'hcs'; main()"
    hcs = (installed / "python", "-c", main)
    call(*hcs, "simulate", "--out", "p.zarr", "--n-wells", 4, "--size-px", 128, cwd=tmp_path, clean=True)
    told = call(*hcs, "run", "p.zarr", "--out", "out", "--workers", 1, cwd=tmp_path, clean=True)
    assert "nuclei" in told
    assert (tmp_path / "out" / "report.html").is_file()


def test_the_version_is_said_in_one_place(installed: Path, archives: dict[str, Path], tmp_path: Path) -> None:
    version = call(installed / "python", "-c", "import hcs; print(hcs.__version__)", cwd=tmp_path, clean=True).strip()
    assert f"-{version}-" in archives[".whl"].name
    citation = (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in citation
    assert "version =" not in (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8").split("[tool.", 1)[0]
