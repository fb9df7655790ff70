"""`debian/firmware/package`: an update by packages, and the way back to the one before.

The packages are real ones, made and unpacked by `dpkg-deb`. `dpkg` and `dpkg-query` are stand-ins that
keep one package below a folder of the test, and fail where the test wants them to.
"""
import json
import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "debian" / "firmware" / "package"

TOOL = '''\
#!{python}
"""Stands in for dpkg and dpkg-query: what is installed is kept in one file."""
import json, pathlib, subprocess, sys
FOLDER = pathlib.Path({folder!r})
KEPT = FOLDER / "kept.json"
kept = json.loads(KEPT.read_text())
words = sys.argv[1:]

def field(file, name):
    return subprocess.run(["dpkg-deb", "--field", file, name], capture_output=True, text=True).stdout.strip()

if pathlib.Path(sys.argv[0]).name == "dpkg":
    if words[0] == "--compare-versions":
        sys.exit(subprocess.run(["/usr/bin/dpkg", *words]).returncode)
    file = words[-1]
    assert words[:2] == ["--install", "--force-confold"] and len(words) == 4
    assert words[2] in ("--force-downgrade", "--refuse-downgrade")
    if kept["fails"]:
        kept["abbrev"], kept["version"] = "iU ", field(file, "Version")
        KEPT.write_text(json.dumps(kept))
        sys.exit("dpkg: error processing archive " + file)
    subprocess.run(["dpkg-deb", "--extract", file, "/"], check=True)
    listed = subprocess.run(["dpkg-deb", "--contents", file], capture_output=True, text=True, check=True).stdout
    paths = [line.split(None, 5)[5][1:].rstrip("/") or "/" for line in listed.splitlines()]
    for path in kept["paths"]:
        if path not in paths and pathlib.Path(path).is_file():
            pathlib.Path(path).unlink()
    kept.update(abbrev="ii ", version=field(file, "Version"), paths=paths)
    kept["installed"].append(kept["version"])
    KEPT.write_text(json.dumps(kept))
elif words[0] == "--show":
    form = words[1].split("=", 1)[1]
    print("" if "Conffiles" in form else kept["abbrev"] + kept["version"])
elif words[0] == "--listfiles":
    print("/.", *kept["paths"], sep="\\n")
elif words[0] == "--status":
    print("Package: kerb-edge\\nStatus: install ok installed\\nVersion: " + kept["version"]
          + "\\nArchitecture: all\\nMaintainer: T <t@example.org>\\nDescription: test")
elif words[0] == "--control-path":
    pass
'''


class Machine:
    """One with kerb-edge 1.0 installed."""

    def __init__(self, folder):
        self.folder, self.state, self.tools = folder, folder / "state", folder / "tools"
        self.files = folder / "root"
        self.state.mkdir()
        self.tools.mkdir()
        for name in "dpkg", "dpkg-query":
            tool = self.tools / name
            tool.write_text(TOOL.format(python=sys.executable, folder=str(folder)))
            tool.chmod(0o755)
        self.keep(abbrev="", version="", paths=[], fails=False, installed=[])
        self.dpkg(self.package("1.0"))

    def keep(self, **changes):
        path = self.folder / "kept.json"
        kept = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**kept, **changes}))

    @property
    def kept(self):
        return json.loads((self.folder / "kept.json").read_text())

    def package(self, version, name="kerb-edge", **files):
        """A package with a program of its version, and one file that only it has."""
        tree = self.folder / f"tree-{name}-{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(textwrap.dedent(f"""\
            Package: {name}
            Version: {version}
            Architecture: all
            Maintainer: T <t@example.org>
            Description: test
            """))
        place = pathlib.Path(str(tree) + str(self.files / "usr"))
        place.mkdir(parents=True)
        (place / "kerb-edge").write_text(version)
        (place / f"only-{version}").write_text("")
        target = self.folder / f"{name}-{version}.deb"
        subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, target], check=True, capture_output=True)
        return target

    def dpkg(self, file):
        subprocess.run([self.tools / "dpkg", "--install", "--force-confold", "--force-downgrade", file], check=True)

    def run(self, *words):
        return subprocess.run(
            ["sh", SCRIPT, *map(str, words)], capture_output=True, text=True,
            env={"PATH": f"{self.tools}:/usr/bin:/bin:/usr/sbin:/sbin", "KERB_INSTALL_STATE": str(self.state),
                 "KERB_DOWNGRADE_SWITCH": str(self.folder / "allow-downgrade")})

    @property
    def program(self):
        return (self.files / "usr" / "kerb-edge").read_text()

    @property
    def way_back(self):
        """The version of the package kept; None without one."""
        file = self.state / "previous.deb"
        if not file.exists():
            return None
        return subprocess.run(["dpkg-deb", "--field", file, "Version"], capture_output=True, text=True).stdout.strip()


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_the_package_before_comes_back_as_it_was(machine):
    (machine.files / "usr" / "kerb-edge").write_text("1.0, mended by hand")
    done = machine.run("install", machine.package("2.0"))
    assert done.returncode == 0, done.stderr
    assert (machine.program, machine.way_back) == ("2.0", "1.0")
    assert not list(machine.state.glob("repack.*")) and not list(machine.state.glob("*.new"))
    done = machine.run("roll-back")
    assert done.returncode == 0, done.stderr
    assert machine.program == "1.0, mended by hand"
    assert not (machine.files / "usr" / "only-2.0").exists()
    assert machine.kept["installed"] == ["1.0", "2.0", "1.0"]


def test_an_installation_that_is_repeated_keeps_the_way_back_to_the_one_before(machine):
    """After a power cut: neither half of the new one nor the new one is the one before."""
    new = machine.package("2.0")
    machine.keep(fails=True)
    assert machine.run("install", new).returncode == 1
    assert machine.way_back == "1.0"
    machine.keep(fails=False)
    for _ in range(2):
        done = machine.run("install", new)
        assert done.returncode == 0, done.stderr
        assert (machine.program, machine.way_back) == ("2.0", "1.0")


def test_the_way_back_is_of_the_last_update_alone(machine):
    assert machine.run("install", machine.package("2.0")).returncode == 0
    assert machine.run("install", machine.package("3.0")).returncode == 0
    assert machine.way_back == "2.0"
    # Where the present one cannot be kept nothing is installed, and no older one pretends to be it.
    (machine.tools / "dpkg-deb").write_text(
        '#!/bin/sh\ncase "$*" in *--build*) exit 1;; *) exec /usr/bin/dpkg-deb "$@";; esac\n')
    new = machine.package("4.0")
    (machine.tools / "dpkg-deb").chmod(0o755)
    assert machine.run("install", new).returncode != 0
    assert (machine.program, machine.way_back) == ("3.0", None)


def test_an_older_package_is_refused_unless_root_lets_it_in(machine):
    assert machine.run("install", machine.package("2.0")).returncode == 0
    for version in "1.9", "1.0~rc1":
        older = machine.package(version)
        done = machine.run("install", older)
        assert done.returncode == 1
        assert f"kerb-edge {version} is older than the installed 2.0 and is refused" in done.stderr
        # Nor does what follows a failed installation bring back what was there before the last one.
        assert machine.run("roll-back").returncode != 0
        assert machine.program == "2.0"
    if os.geteuid() != 0:
        pytest.skip("the rest needs root")
    switch = machine.folder / "allow-downgrade"
    switch.symlink_to("/etc/passwd")
    assert machine.run("install", older).returncode == 1, "a link of somebody's"
    switch.unlink()
    switch.write_text("")
    os.chown(switch, 12345, -1)
    assert machine.run("install", older).returncode == 1, "not root's"
    os.chown(switch, 0, -1)
    done = machine.run("install", older)
    assert done.returncode == 0, done.stderr
    assert (machine.program, machine.way_back) == ("1.0~rc1", "2.0")


def test_another_program_is_not_installed_in_its_place(machine):
    done = machine.run("install", machine.package("9.0", name="something-else"))
    assert done.returncode == 1 and "is no package of kerb-edge" in done.stderr
    assert machine.program == "1.0"
    assert machine.run().returncode == 2
