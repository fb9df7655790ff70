"""The systemd units, udev rules and package scripts: hardened, and of one mind about users and groups."""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# systemd's scale goes from 0 (sealed) to 10; in tenths here.
MOST_EXPOSED = {"kerb-edge": 18, "kerb-cpo": 16}


@pytest.mark.parametrize("unit", sorted(MOST_EXPOSED))
def test_a_unit_is_no_more_exposed_than_agreed(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED[unit]}",
         str(ROOT / "Config" / f"{unit}.service")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def setting(unit, key):
    text = (ROOT / "Config" / f"{unit}.service").read_text()
    return " ".join(re.findall(rf"^{key}=(.*)$", text, re.M)).split()


def sysusers(package):
    lines = (ROOT / "debian" / f"{package}.sysusers").read_text().splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("unit", sorted(MOST_EXPOSED))
def test_a_units_user_is_made_by_its_package(unit):
    assert setting(unit, "User") == [unit]
    assert ["u", unit] in [line[:2] for line in sysusers(unit)]


def test_the_agent_is_in_the_groups_that_own_its_devices():
    rules = (ROOT / "udev" / "60-kerb-edge.rules").read_text()
    owners = set(re.findall(r'GROUP="(\w+)"', rules))
    groups = set(setting("kerb-edge", "SupplementaryGroups"))
    members = {line[2] for line in sysusers("kerb-edge") if line[0] == "m"}
    assert owners == {"kerb"}
    assert owners <= groups == members
    assert ["g", "kerb"] in [line[:2] for line in sysusers("kerb-edge")]
    for group in groups:
        assert f"`{group}`" in (ROOT / "udev" / "README.md").read_text()


def test_every_program_and_the_packages_have_one_version():
    debian = re.search(r"\((.*?)\)", (ROOT / "debian" / "changelog").read_text()).group(1)
    for program in ("kerb-edge", "kerb-cpo", "kerb-sim"):
        source = (ROOT / "Sources" / program / "Program.swift").read_text()
        assert f'static let version = "{debian}"' in source
