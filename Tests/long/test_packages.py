"""The packages in a clean Debian: built, checked by lintian, installed, upgraded, removed and purged.

Needs root (debootstrap and chroot) and a Debian mirror; says so where it cannot run.
"""
import json
import os
import shutil

import pytest
from debian_root import System, newer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="debootstrap and chroot need root")


@pytest.fixture(scope="module")
def system(packages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("debian") / "root"
    system = System(folder)
    system.said = system.install(*packages.values())
    yield system
    shutil.rmtree(folder, ignore_errors=True)


def test_every_program_runs_where_nothing_else_is_installed(system):
    for program in ("kerb-edge", "kerb-cpo", "kerb-sim"):
        assert system.sh(f"{program} --version").startswith(program)


def test_users_groups_and_folders_are_there_and_private(system):
    groups = system.sh("id -nG kerb-edge").split()
    assert {"kerb-edge", "kerb", "dialout"} == set(groups)
    assert system.sh("stat -c '%U %a' /var/lib/kerb-edge /var/lib/kerb-cpo").split() == [
        "kerb-edge", "700", "kerb-cpo", "700"]
    assert "nologin" in system.sh("getent passwd kerb-edge")


def test_an_installation_without_a_station_is_told_and_starts_nothing(system):
    assert "write your station into /etc/kerb/edge.yaml" in system.said
    assert not system.path("/etc/systemd/system/multi-user.target.wants/kerb-edge.service").is_symlink()


def test_pages_completions_profiles_and_rules_are_in_their_places(system):
    for name in (
            "/usr/share/man/man1/kerb-edge.1.gz", "/usr/share/man/man5/edge.yaml.5.gz",
            "/usr/share/man/man1/kerb-cpo.1.gz", "/usr/share/man/man5/cpo.yaml.5.gz",
            "/usr/share/man/man1/kerb-sim.1.gz", "/usr/share/bash-completion/completions/kerb-edge",
            "/usr/share/zsh/vendor-completions/_kerb-edge",
            "/usr/share/fish/vendor_completions.d/kerb-edge.fish",
            "/usr/share/kerb/profiles/meters/sdm630.yaml", "/lib/udev/rules.d/70-kerb-edge.rules",
            "/lib/systemd/system/kerb-edge.service", "/lib/systemd/system/kerb-cpo.service"):
        assert system.path(name).is_file() or name.startswith("/usr/share/man"), name
    listed = system.sh("dpkg -L kerb-edge")
    assert "/usr/share/man/man1/kerb-edge.1.gz" in listed


def test_the_installed_agent_finds_its_profiles_and_checks_a_station(system):
    system.sh("umask 077; echo secret-of-the-station >/etc/kerb/edge-password; chown kerb-edge /etc/kerb/edge-password")
    said = system.sh("runuser -u kerb-edge -- kerb-edge config check /etc/kerb/edge.yaml")
    assert "fine" in said


def test_the_installed_doctor_keeps_the_password_out_of_the_bundle(system):
    system.sh("kerb-edge doctor --json --bundle /root/bundle.tar >/root/doctor.json || [ $? -eq 7 ]")
    found = json.loads(system.path("/root/doctor.json").read_text())
    assert {one["topic"] for one in found} >= {"configuration", "board", "clock", "agent", "disk"}
    assert b"secret-of-the-station" not in system.path("/root/bundle.tar").read_bytes()


SPLIT = """\
stationID: MINE-7
csms: {url: "wss://cpo.example.com/ocpp", securityProfile: 2, passwordFile: /etc/kerb/edge-password}
board: split-safety-mcu
buses: [{name: meters, kind: tcp, host: 192.168.10.20}]
evses: [{connector: 1, meter: {profile: sdm630, bus: meters}, limits: {maximumAmperes: 16}}]
site: {fuseAmperes: 32, phases: 3}
"""


def test_an_upgrade_keeps_what_the_operator_wrote(system, packages, tmp_path):
    system.path("/etc/kerb/edge.yaml").write_text(SPLIT)
    system.sh("touch /var/lib/kerb-edge/journal.db; rm -f /var/lib/kerb-edge/*.safe-lines")
    system.install(newer(packages["kerb-edge"], tmp_path))
    assert "+next" in system.sh("dpkg-query -W -f '${Version}' kerb-edge")
    assert "stationID: MINE-7" in system.path("/etc/kerb/edge.yaml").read_text()
    assert system.path("/var/lib/kerb-edge/journal.db").exists()


def test_the_upgrade_leaves_the_outputs_that_the_next_start_holds_first(system):
    """The postinst's `config check`, run as the agent's user: a GPIO board is safe at its first start after it."""
    lines = system.path("/var/lib/kerb-edge/edge.yaml.safe-lines").read_text().splitlines()
    assert lines[0].startswith("# kerb-edge safe-lines 1")
    assert "evse-io\tALLOW1\tlow\tpushPull" in lines
    assert {line.split("\t")[2] for line in lines[1:]} == {"low"} and len(lines) == 9
    assert system.sh("stat -c %U /var/lib/kerb-edge/edge.yaml.safe-lines").strip() == "kerb-edge"


@pytest.mark.parametrize("program", ["kerb-edge", "kerb-cpo", "kerb-sim"])
def test_the_shells_of_a_clean_debian_complete_its_commands(system, program):
    """By the shells' own packages: the files lie where they look, and do not only parse."""
    system.get("bash-completion", "zsh", "fish")
    command = {"kerb-edge": "doctor", "kerb-cpo": "serve", "kerb-sim": "fleet"}[program]
    fish = system.sh(f"HOME=/root fish -c \"complete -C '{program} '\"")
    assert command in [line.split("\t")[0] for line in fish.splitlines()], fish
    zsh = system.sh(f"HOME=/root zsh -fc 'autoload -U compinit; compinit -u -D; print $_comps[{program}]'")
    assert zsh.strip() == f"_{program}"
    bash = system.sh(
        f"bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader {program}; complete -p {program}'")
    assert bash.startswith("complete ") and bash.strip().endswith(program), bash


def version(system):
    return system.sh("dpkg-query -W -f '${Version}' kerb-edge")


def test_an_update_keeps_the_package_it_replaces_and_brings_it_back(system, packages, tmp_path):
    """What `firmware.installCommand` and `rollbackCommand` call as root."""
    before = version(system)
    (tmp_path / "once").mkdir()
    update = newer(newer(packages["kerb-edge"], tmp_path / "once"), tmp_path)
    shutil.copy(update, system.path("/tmp/firmware.deb"))
    for _ in range(2):
        # The second time is after a power cut in the middle of the first.
        system.sh("/usr/lib/kerb-edge/package install /tmp/firmware.deb 2>&1")
        assert version(system) == before + "+next"
    system.sh("echo broken >/usr/bin/kerb-edge")
    system.sh("/usr/lib/kerb-edge/package roll-back 2>&1")
    assert version(system) == before
    assert system.sh("kerb-edge --version").startswith("kerb-edge")
    assert system.sh("dpkg --verify kerb-edge || true").split() in ([], ["??5??????", "c", "/etc/kerb/edge.yaml"])
    assert "stationID: MINE-7" in system.path("/etc/kerb/edge.yaml").read_text()
    assert "no package of kerb-edge" in system.sh(
        "/usr/lib/kerb-edge/package install /tmp/kerb-sim*.deb 2>&1 || true")


def test_a_removal_keeps_configuration_and_journal_and_a_purge_leaves_nothing(system):
    system.sh("apt-get remove -y kerb-edge 2>&1")
    assert system.path("/etc/kerb/edge.yaml").exists()
    assert system.path("/var/lib/kerb-edge/journal.db").exists()
    assert not system.path("/usr/bin/kerb-edge").exists()
    system.sh("apt-get purge -y kerb-edge kerb-cpo kerb-sim 2>&1; rm -f /etc/kerb/edge-password")
    left = [
        name for name in system.sh("find /etc /usr /lib /var/lib -xdev -name '*kerb*'").split()
        if not name.startswith(("/var/lib/dpkg", "/var/lib/apt", "/var/lib/systemd/deb-systemd"))]
    assert left in ([], ["/etc/kerb"]), left
