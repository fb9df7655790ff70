"""The systemd units, udev rules and package scripts: hardened, and of one mind about users and groups."""
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# systemd's scale goes from 0 (sealed) to 10; in tenths here. Of the agent's, 2 are its real-time threads.
MOST_EXPOSED = {"kerb-edge": 18, "kerb-cpo": 16}
# They install what the operator gives: root, everywhere. They speak with nobody but systemd.
ROOTS = {"kerb-edge-install": 80, "kerb-edge-recover": 80}
AGENT = ["kerb-edge.service", "kerb-edge-install.path", "kerb-edge-install.service", "kerb-edge-recover.service"]


@pytest.mark.parametrize("unit", sorted(MOST_EXPOSED | ROOTS))
def test_a_unit_is_no_more_exposed_than_agreed(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={(MOST_EXPOSED | ROOTS)[unit]}",
         str(ROOT / "Config" / f"{unit}.service")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def setting(unit, key):
    name = unit if "." in unit else f"{unit}.service"
    text = (ROOT / "Config" / name).read_text()
    return " ".join(re.findall(rf"^{key}=(.*)$", text, re.M)).split()


def test_the_agents_threads_get_the_real_time_that_its_limits_rest_on():
    """35 ms for a pilot sample and 100 ms from C to B hold on a busy board by priority alone."""
    asked = (ROOT / "hal" / "LinuxHAL" / "RealTime.swift").read_text()
    highest = max(int(number) for number in re.findall(r"case \w+ = (\d+)", asked))
    assert setting("kerb-edge", "LimitRTPRIO") == [str(highest)]
    assert setting("kerb-edge", "RestrictRealtime") == ["no"]
    # Allowed again after its group was taken away, and nothing else but what a thread does to itself.
    filters = re.findall(r"^SystemCallFilter=(.*)$", (ROOT / "Config" / "kerb-edge.service").read_text(), re.M)
    assert filters == ["@system-service", "~@privileged @resources", "sched_setscheduler setpriority"]
    # A thread that spins before everything else is ended, and the dead-man opens.
    assert setting("kerb-edge", "LimitRTTIME") == ["1s"]
    for unit in "kerb-edge-install", "kerb-edge-recover", "kerb-cpo":
        assert setting(unit, "RestrictRealtime") == ["yes"]


def test_nothing_holds_up_a_crash_of_the_agent():
    """Swift's tracer would stop a dying program with its outputs as they are."""
    assert setting("kerb-edge", "Environment") == ["SWIFT_BACKTRACE=enable=no"]


def sysusers(package):
    lines = (ROOT / "debian" / f"{package}.sysusers").read_text().splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("unit", sorted(MOST_EXPOSED))
def test_a_units_user_is_made_by_its_package(unit):
    assert setting(unit, "User") == [unit]
    assert ["u", unit] in [line[:2] for line in sysusers(unit)]


def test_the_agent_is_in_the_groups_that_own_its_devices():
    rules = (ROOT / "udev" / "70-kerb-edge.rules").read_text()
    owners = set(re.findall(r'GROUP="(\w+)"', rules))
    groups = set(setting("kerb-edge", "SupplementaryGroups"))
    members = {line[2] for line in sysusers("kerb-edge") if line[0] == "m"}
    assert owners == {"kerb"}
    assert owners <= groups == members
    assert ["g", "kerb"] in [line[:2] for line in sysusers("kerb-edge")]
    for group in groups:
        assert f"`{group}`" in (ROOT / "udev" / "README.md").read_text()


def test_the_unit_opens_the_serial_ports_that_boards_have():
    """By the kernel's names: USB adapters, 8250, PL011, i.MX, LPUART, SC16IS7xx."""
    text = (ROOT / "Config" / "kerb-edge.service").read_text()
    classes = dict(re.findall(r"^DeviceAllow=char-(\w+) (\w+)$", text, re.M))
    for name in "ttyUSB", "ttyACM", "ttyS", "ttyAMA", "ttymxc", "ttyLP", "ttySC":
        assert classes[name] == "rw"
        assert f"`{name}`" in (ROOT / "udev" / "README.md").read_text()
    assert setting("kerb-edge", "DevicePolicy") == ["closed"]


def installed(folder):
    """The units and what they start, where the package puts them; nothing else of a system."""
    for line in (ROOT / "debian" / "kerb-edge.install").read_text().splitlines():
        source, target = line.split()
        if source.startswith(("Config/kerb", "debian/firmware")):
            (folder / target).mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, folder / target)
    units = folder / "lib" / "systemd" / "system"
    shutil.copy(ROOT / "Config" / "kerb-edge.service", units)
    for target in ("basic", "local-fs", "multi-user", "paths", "shutdown", "sysinit"):
        (units / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    (folder / "usr" / "bin").mkdir(parents=True)
    shutil.copy(shutil.which("true"), folder / "usr" / "bin" / "kerb-edge")
    return units


def verified(folder):
    return subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"--root={folder}", *AGENT], capture_output=True, text=True)


def test_systemd_takes_the_agents_units_as_the_package_installs_them(tmp_path):
    units = installed(tmp_path)
    assert set(AGENT) <= {path.name for path in units.iterdir()}
    done = verified(tmp_path)
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.parametrize("what", ["key", "program"])
def test_systemd_refuses_a_unit_with_a_mistake(tmp_path, what):
    units = installed(tmp_path)
    if what == "key":
        text = (units / AGENT[0]).read_text()
        (units / AGENT[0]).write_text(text.replace("OnFailure=", "OnFailur="))
    else:
        (tmp_path / "usr" / "lib" / "kerb-edge" / "recover").unlink()
    assert verified(tmp_path).stderr != ""


def test_an_update_finds_its_way_from_the_agent_to_root_and_back():
    data = f"/var/lib/{setting('kerb-edge', 'StateDirectory')[0]}"
    state = f"/var/lib/{setting('kerb-edge-install', 'StateDirectory')[0]}"
    assert setting("kerb-edge-install.path", "PathExists") == [f"{data}/firmware/request"]
    assert setting("kerb-edge-install.path", "Unit") == ["kerb-edge-install.service"]
    assert setting("kerb-edge", "Wants") == ["kerb-edge-install.path"]
    assert setting("kerb-edge", "OnFailure") == ["kerb-edge-recover.service"]
    assert setting("kerb-edge-recover", "ExecStart") == ["/usr/lib/kerb-edge/recover", state, "kerb-edge.service"]
    assert f"helperFolder: {state}" in (ROOT / "Config" / "edge.yaml").read_text()
    assert f"{state} 0755 root root" in (ROOT / "debian" / "kerb-edge.tmpfiles").read_text()
    # Both are root's: what they do is not the agent's to say.
    for unit in ROOTS:
        assert setting(unit, "User") == [] and setting(unit, "Type") == ["oneshot"]


def test_five_quick_failures_come_within_the_time_that_counts_them():
    pause, tries = int(setting("kerb-edge", "RestartSec")[0]), int(setting("kerb-edge", "StartLimitBurst")[0])
    # A program that ends within ten seconds of each start; the watchdog is one of them.
    assert tries * (pause + int(setting("kerb-edge", "WatchdogSec")[0])) <= \
        int(setting("kerb-edge", "StartLimitIntervalSec")[0])


@pytest.mark.parametrize("script", ["package", "recover"])
def test_a_script_of_the_package_is_sound_shell(script):
    path = ROOT / "debian" / "firmware" / script
    assert path.stat().st_mode & 0o111 == 0o111
    assert subprocess.run(["sh", "-n", path]).returncode == 0


def test_an_upgrade_stops_no_unit_and_a_removal_stops_its_own():
    """debhelper would stop a unit before an upgrade, and what is stopped is not restarted after it."""
    rules = (ROOT / "debian" / "rules").read_text()
    calls = re.findall(r"^\tdh_installsystemd (.*)$", rules, re.M)
    assert len(calls) == 3 and all("--no-stop-on-upgrade" in call for call in calls)
    for unit in MOST_EXPOSED:
        assert f"stop {unit}.service" in (ROOT / "debian" / f"{unit}.prerm").read_text()
        assert f"try-restart {unit}.service" in (ROOT / "debian" / f"{unit}.postinst").read_text()


def test_every_program_and_the_packages_have_one_version():
    debian = re.search(r"\((.*?)\)", (ROOT / "debian" / "changelog").read_text()).group(1)
    for program in ("kerb-edge", "kerb-cpo", "kerb-sim"):
        source = (ROOT / "Sources" / program / "Program.swift").read_text()
        assert f'static let version = "{debian}"' in source
