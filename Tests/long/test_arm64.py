"""kerb-edge for arm64: built from the same sources against Debian's arm64 libraries, run under qemu-user."""
import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SDK = pathlib.Path(os.environ.get("ARM64_SDK") or pathlib.Path.home() / ".cache" / "kerb-arm64")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("KERB_")}
QEMU = "qemu-aarch64-static"

pytestmark = pytest.mark.skipif(not shutil.which(QEMU), reason=f"no {QEMU}: .ci/setup deb installs it")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    out = tmp_path_factory.mktemp("arm64") / "kerb-edge"
    more = {"ARM64_SDK": str(SDK)}
    done = subprocess.run(
        [ROOT / ".ci" / "arm64", out], capture_output=True, text=True, env={**ENVIRONMENT, **more}, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out


def run(program, *words):
    return subprocess.run(
        [QEMU, "-L", SDK / "root", program, *words], capture_output=True, text=True, env=ENVIRONMENT)


def test_the_program_runs_and_is_small(program):
    assert run(program, "--version").stdout.startswith("kerb-edge ")
    assert program.stat().st_size <= 12_000_000
    machine = program.read_bytes()[18:20]
    assert int.from_bytes(machine, "little") == 183  # EM_AARCH64


def test_it_reads_configuration_and_profiles(program, tmp_path):
    password = tmp_path / "password"
    password.write_text("x")
    password.chmod(0o600)
    text = (ROOT / "Config/edge.yaml").read_text().replace("/etc/kerb/edge-password", str(password))
    (tmp_path / "edge.yaml").write_text(f"{text}\nprofileDirectory: {ROOT}/hal/profiles\n")
    done = run(program, "config", "check", tmp_path / "edge.yaml")
    assert done.returncode == 0 and "fine" in done.stdout, done.stderr
