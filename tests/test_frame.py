"""The project's frame: one list of packages, commands that the README gives, files that belong together."""

import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
PINS = {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", LOCK, re.M)}
ASKED = [Requirement(r) for r in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]


@pytest.mark.parametrize("wanted", ASKED, ids=lambda r: r.name)
def test_lock_pins_each_package_that_pyproject_asks_for(wanted):
    pinned = PINS.get(canonicalize_name(wanted.name))
    assert pinned, f"{wanted.name} is not in requirements.lock: remake it (CONTRIBUTING.md says how)"
    assert wanted.specifier.contains(pinned)


def test_lock_has_a_hash_for_every_package():
    entries = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.M)[1:]
    assert len(entries) > 100
    assert [e.split()[0] for e in entries if "--hash=sha256:" not in e] == []


def test_conda_environment_installs_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert pip == [["-r requirements.lock"]], "environment.yml takes its packages from the lock and from nowhere else"
    python = next(d for d in environment["dependencies"] if isinstance(d, str) and d.startswith("python="))
    assert python.removeprefix("python=") in PROJECT["requires-python"]
    named = {canonicalize_name(re.split(r"[=<> ]", d)[0]) for d in environment["dependencies"] if isinstance(d, str)}
    assert not named & {canonicalize_name(r.name) for r in ASKED}, "a package may come from one place only"


def test_version_is_the_same_everywhere():
    import codec_lib

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == codec_lib.__version__ == citation["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("chosen, then", [({}, "10000"), ({"GOMP_SPINCOUNT": "77"}, "77")])
def test_waiting_threads_sleep_early(chosen, then):
    """As OpenMP itself tells once it is loaded; what the user has set stays."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    told = subprocess.run([sys.executable, "-c", "import codec_lib, torch"], env=ours | {"OMP_DISPLAY_ENV": "VERBOSE"} | chosen,
                          capture_output=True, text=True, check=True).stderr
    if "GOMP_" not in told:
        pytest.skip("torch came with another OpenMP than GNU's, whose threads wait otherwise")
    assert re.findall(r"GOMP_SPINCOUNT = '(\d+)'", told) == [then]


def test_readme_commands_are_targets_of_the_makefile():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    promised = set(re.findall(r"\bmake (\w+)", "\n".join(
        line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("    make"))))
    assert promised == {"book", "test"}
    assert promised <= targets
    assert {"help", "env", "lint", "clean", "serve"} <= targets


def test_ci_runs_the_readme_s_test_command():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    assert "make test" in script.read_text()


def test_readme_command_lines_parse():
    from codec_lib.cli import parser

    lines = [line.split("#")[0].split() for line in (ROOT / "README.md").read_text().splitlines()
             if line.startswith("    python -m codec_lib")]
    assert len(lines) >= 5
    for words in lines:
        parser().parse_args(words[3:])


def test_files_that_the_readme_links_are_there():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_find_python_says_what_is_needed_when_there_is_none(tmp_path):
    tool = ROOT / "tools" / "find_python"
    for name in ("python3", "python3.11"):  # a shim that is on the PATH and does not work
        fake = tmp_path / name
        fake.write_text("#!/bin/sh\nexit 127\n")
        fake.chmod(0o755)
    for name in ("bash", "env"):
        os.symlink(f"/usr/bin/{name}", tmp_path / name)
    ran = subprocess.run([tool], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert ran.returncode == 1 and ran.stdout == ""
    assert ran.stderr.startswith("Python 3.11 or 3.12 is needed") and ran.stderr.count("\n") == 1


def test_nothing_imports_a_room_above_its_own():
    floors = [("video",), ("layers",), ("entropy", "diffusion"), ("codecs",), ("training", "metrics"), ("experiments",),
              ("commands", "show")]
    floor = {room: i for i, rooms in enumerate(floors) for room in rooms}
    wrong = []
    for file in (ROOT / "codec_lib").rglob("*.py"):
        room = file.relative_to(ROOT / "codec_lib").parts[0]
        for above in re.findall(r"^\s*(?:from|import) codec_lib\.(\w+)", file.read_text(), re.M):
            if floor.get(above, -1) > floor.get(room, len(floors)):
                wrong.append(f"{file.relative_to(ROOT)} imports {above}")
    assert wrong == []
