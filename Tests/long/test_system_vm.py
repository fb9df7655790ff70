"""The package under a real systemd: installed by dpkg, started by its unit, its devices named by its udev rules.

A charge runs through the sandbox that the unit describes: token from a card reader on USB, relay, pilot and
meter behind two USB serial adapters, played by `kerb-sim site`. Then the same unit on GPIO lines, stopped and killed.
"""
import json
import os
import re
import subprocess
import time

import board_vm
import edge_site
import figures
import pytest
from system_vm import CONTROL, METERS, SystemVM

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="debootstrap and chroot need root")

TITLE = "Debian with systemd (emulated)"
START_WH, CARD = 123456, "0412345678"
SITE = """\
control: {{port: {port}}}
buses:
  - {{name: control, kind: serial, link: {folder}/control}}
  - {{name: meters, kind: serial, link: {folder}/meters}}
evses:
  - name: EVSE-1
    phases: 3
    meter: {{bus: meters, unit: 1, model: sdm630, startWattHours: 123456}}
    relay: {{bus: control, unit: 10, coil: 0}}
    pilot: {{bus: control, unit: 11}}
    car: {{milliamperes: 16000}}
"""
CABINET = """\
stationID: BOARD-2
csms: {{url: "ws://127.0.0.1:9/ocpp", securityProfile: 0}}
board: modbus-cabinet
buses:
  - {{name: control, kind: rtu, device: {control}, baud: 38400}}
  - {{name: meters, kind: rtu, device: {meters}, baud: 38400}}
evses:
  - connector: 1
    meter: {{profile: sdm630, bus: meters, unit: 1}}
    contactor: {{bus: control, unit: 10, coil: 0}}
    pilot: {{bus: control, unit: 11}}
    limits: {{maximumAmperes: 16}}
    tokenReader: {reader}
site: {{fuseAmperes: 32, phases: 3}}
allowUnknownTokensOffline: true
"""
SPLIT = """\
stationID: BOARD-2
csms: {{url: "ws://127.0.0.1:9/ocpp", securityProfile: 0}}
board: split-safety-mcu
buses:
  - {{name: meters, kind: rtu, device: {meters}, baud: 38400}}
evses:
  - connector: 1
    meter: {{profile: sdm630, bus: meters, unit: 1}}
    limits: {{maximumAmperes: 16}}
site: {{fuseAmperes: 32, phases: 3}}
allowUnknownTokensOffline: true
"""


class Site:
    """`kerb-sim site`, and its hands."""

    def __init__(self, folder):
        self.port, self.folder = edge_site.free_port(), folder
        (folder / "site.yaml").write_text(SITE.format(port=self.port, folder=folder))
        with open(folder / "site.log", "ab") as log:
            self.process = subprocess.Popen(
                [str(edge_site.BIN / "kerb-sim"), "site", "--config", str(folder / "site.yaml")], cwd=folder,
                stdout=log, stderr=log, env=edge_site.ENVIRONMENT)
        deadline = time.monotonic() + 20
        while not (folder / "meters").exists():
            assert time.monotonic() < deadline and self.process.poll() is None, (folder / "site.log").read_text()
            time.sleep(0.05)

    control = property(lambda self: self.port)
    call = edge_site.EdgeSite.site

    def evse(self):
        return self.call("GET", "/evses/EVSE-1")

    def do(self, what):
        self.call("POST", f"/evses/EVSE-1/{what}", {})

    def stop(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


@pytest.fixture(scope="module")
def vm(site, packages, tmp_path_factory):
    missing = board_vm.missing()
    assert not missing, f"not installed: {' '.join(missing)}; `.ci/setup long` installs them"
    vm = SystemVM(tmp_path_factory.mktemp("debian"), packages["kerb-edge"])
    try:
        up = vm.boot(site.folder / "control", site.folder / "meters")
        figures.note(TITLE, "systemd up after, s", up)
        vm.do("hardware run > /dev/null 2>&1 & HARDWARE=$!")
        vm.said = vm.do("dpkg -i /root/kerb-edge.deb 2>&1", seconds=300)
        vm.do("udevadm settle", seconds=120)
        yield vm
    finally:
        vm.stop()


def put(vm, path, text):
    """A file on the machine, by lines of shell that no quote can end."""
    vm.do(f": > {path}")
    for line in text.splitlines():
        vm.do("printf '%b\\n' '" + line.replace("\\", "\\\\").replace("'", "\\0047") + f"' >> {path}")


def status(vm):
    text = vm.do("kerb-edge status --json --config /etc/kerb/edge.yaml 2>/dev/null", check=False)
    try:
        return json.loads(text)["connectors"][0]
    except ValueError:
        return {}


def journal(vm, match):
    """The entries of our unit with a field, oldest first."""
    text = vm.do(f"journalctl -o json --no-pager {match} | tail -n 400", seconds=120)
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def logged(vm):
    return vm.do("journalctl -u kerb-edge --no-pager -n 60", seconds=120, check=False)


def names(vm):
    """{name below /dev/kerb: what it leads to}"""
    text = vm.do("for each in /dev/kerb/*; do echo \"$each $(readlink -f $each)\"; done")
    return dict(re.findall(r"^/dev/kerb/(\S+) (\S+)$", text, re.M))


def name_of(vm, start, device):
    return next(f"/dev/kerb/{name}" for name, leads in names(vm).items() if name.startswith(start) and leads == device)


def tty(vm, which):
    """/dev/ttyUSBn of an adapter: the kernel's numbers depend on which answered first."""
    return vm.do(f"readlink -f /dev/kerb/serial-{which[0]}").strip()


def test_an_installation_without_a_station_is_told_and_starts_nothing(vm):
    assert "write your station into /etc/kerb/edge.yaml" in vm.said
    assert vm.unit("ActiveState") == "inactive"


def test_adapters_are_named_by_their_socket_and_by_their_number(vm):
    found = names(vm)
    for serial, port in (CONTROL, METERS):
        assert re.fullmatch(r"/dev/ttyUSB\d", found[f"serial-{serial}"]), found
        by_socket = [name for name in found if re.fullmatch(rf"rs485-pci-\S+-usb-0:{port}:1\.0", name)]
        assert [found[name] for name in by_socket] == [found[f"serial-{serial}"]], found


def test_devices_belong_to_the_group_and_to_nobody_else(vm):
    kept = vm.do("stat -L -c '%G %a' /dev/ttyUSB0 /dev/ttyUSB1 /dev/gpiochip0").split("\n")
    assert kept == ["kerb 660"] * 3
    readers = [leads for name, leads in names(vm).items() if name.startswith("reader-")]
    assert len(readers) == 1, "the keyboard of the machine itself is no reader"
    assert vm.do(f"stat -c '%G %a' {readers[0]}").strip() == "kerb 640"
    others = vm.do("stat -c '%n %G' /dev/input/event*")
    assert [line for line in others.splitlines() if line.endswith(" kerb")] == [f"{readers[0]} kerb"]


def test_an_adapter_holds_no_byte_back(vm):
    """FTDI's 16 ms: of adapters that were there before the package, and of one that is plugged in later."""
    found = vm.do("cat /sys/bus/usb-serial/devices/ttyUSB*/latency_timer").split()
    assert found == ["1", "1"]
    vm.unplug_adapter(METERS)
    vm.until(lambda: f"serial-{METERS[0]}" in names(vm), lambda there: not there, 20)
    vm.plug_adapter(METERS)
    assert vm.until(lambda: f"serial-{METERS[0]}" in names(vm), lambda there: there, 30)
    vm.do("udevadm settle", seconds=60)
    assert vm.do("cat /sys/bus/usb-serial/devices/ttyUSB*/latency_timer").split() == ["1", "1"]


def test_a_swapped_adapter_keeps_the_name_of_its_socket(vm):
    before = name_of(vm, "rs485-", tty(vm, METERS))
    vm.unplug_adapter(METERS)
    vm.unplug_adapter(CONTROL)
    vm.until(lambda: names(vm), lambda found: not any("rs485" in name for name in found), 20)
    vm.plug_adapter(CONTROL, socket_of=METERS)
    found = vm.until(lambda: names(vm), lambda found: before.rsplit("/", 1)[1] in found, 30)
    assert found[before.rsplit("/", 1)[1]] == found[f"serial-{CONTROL[0]}"]
    vm.unplug_adapter(CONTROL)
    vm.until(lambda: names(vm), lambda found: not any("rs485" in name for name in found), 20)
    for which in (CONTROL, METERS):
        vm.plug_adapter(which)
    vm.until(lambda: names(vm), lambda found: len([name for name in found if "rs485" in name]) == 2, 30)


def test_the_unit_starts_once_its_station_is_written_and_says_when_it_is_ready(vm):
    put(vm, "/etc/kerb/edge.yaml", CABINET.format(
        control=name_of(vm, "rs485-", tty(vm, CONTROL)), meters=name_of(vm, "rs485-", tty(vm, METERS)),
        reader=f"/dev/kerb/{next(name for name in names(vm) if name.startswith('reader-'))}"))
    # What the package said to do.
    vm.do("kerb-edge config check /etc/kerb/edge.yaml && systemctl enable --now kerb-edge", seconds=120)
    assert vm.do("systemctl is-active kerb-edge", check=False) == "active", logged(vm)
    assert (vm.unit("Type"), vm.unit("SubState")) == ("notify", "running")
    # systemd had its word from the program: `systemctl start` returned behind it, and the watchdog runs.
    assert vm.unit("WatchdogTimestampMonotonic") not in ("", "0")
    found = vm.until(lambda: status(vm).get("status"), lambda word: word == "Available", 60)
    assert found == "Available", f"{status(vm)}\n{logged(vm)}"


def test_the_kernel_holds_the_program_to_what_the_unit_says(vm):
    pid = vm.unit("MainPID")
    state = dict(re.findall(r"^(\w+):\s+(.*)$", vm.do(f"cat /proc/{pid}/status"), re.M))
    assert state["Seccomp"] == "2" and int(state["Seccomp_filters"]) > 0
    assert state["NoNewPrivs"] == "1"
    assert {state[name] for name in ("CapBnd", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert state["Uid"].split()[1] == vm.do("id -u kerb-edge").strip()
    cgroup = "/sys/fs/cgroup/system.slice/kerb-edge.service"
    assert vm.do(f"cat {cgroup}/memory.max {cgroup}/pids.max").split() == [str(128 << 20), "128"]
    assert vm.do(f"grep -c ' / / ro' /proc/{pid}/mountinfo").strip() == "1", "the file system is read-only"
    peak = int(vm.do(f"cat {cgroup}/memory.current"))
    figures.note(TITLE, "memory of the unit, MiB", f"{peak / 1048576:.1f}")


def test_a_program_in_the_same_sandbox_is_refused_what_the_agent_never_needs(vm):
    """The unit's own settings, another program: what systemd really set up is what it runs into."""
    unit = "/run/systemd/system/sandbox.service"
    vm.do("sed -e 's|^ExecStart=.*|ExecStart=/usr/local/bin/sandbox|' -e 's|^Type=.*|Type=oneshot|' "
          "-e '/^Watchdog/d' -e '/^Restart/d' /lib/systemd/system/kerb-edge.service > " + unit)
    vm.do("systemctl daemon-reload; systemctl start sandbox", seconds=60)
    said = vm.do("journalctl -u sandbox -o cat --no-pager", seconds=60)
    found = dict(re.findall(r"^([\w /]+): (.*)$", said, re.M))
    allowed = {word for word, result in found.items() if result == "done"}
    assert allowed == {
        "socket inet", "socket unix", "file in its own folder", "gpio", "usb serial", "real time"}, found
    assert found["socket packet"] == found["socket netlink"] == "Address family not supported by protocol"
    assert {found[word] for word in ("memory to code", "written code", "mount", "clock", "module")} == {
        "Operation not permitted"}
    assert found["file in /etc"] == found["file in /usr"] == "Read-only file system"
    vm.do("rm /var/lib/kerb-edge/sandbox")
    vm.do(f"sed -i 's|^ExecStart=.*|ExecStart=/usr/local/bin/sandbox eat {160 << 20}|' {unit}")
    vm.do("systemctl daemon-reload; systemctl start sandbox", seconds=60, check=False)
    assert vm.unit("Result", "sandbox") == "oom-kill"


def test_a_charge_runs_through_the_sandbox_and_is_billed_to_the_watt_hour(vm, site):
    site.do("plug-in")
    assert vm.until(lambda: status(vm).get("status"), lambda word: word == "Preparing", 30) == "Preparing", logged(vm)
    vm.type(CARD)
    closed = vm.until(lambda: site.evse()["contactor"]["isClosed"], lambda closed: closed, 60)
    assert closed, f"{status(vm)}\n{logged(vm)}"
    drawn = vm.until(lambda: site.evse()["car"]["wattHours"], lambda hours: hours >= 40, 120)
    assert drawn >= 40, f"{status(vm)}\n{logged(vm)}"
    site.do("unplug")
    assert vm.until(lambda: status(vm).get("status"), lambda word: word == "Available", 60) == "Available", logged(vm)
    ended = [one for one in journal(vm, "CONNECTOR=1") if one["MESSAGE"].startswith("session ended")]
    assert int(ended[-1]["REGISTER_WH"]) == site.evse()["meter"]["registerWattHours"], ended[-1]
    assert int(ended[-1]["REGISTER_WH"]) - START_WH >= 40


def test_the_journal_has_a_field_for_each_value(vm):
    found = journal(vm, "CONNECTOR=1")
    assert found and {one["CONNECTOR"] for one in found} == {"1"}
    assert {one["_SYSTEMD_UNIT"] for one in found} == {"kerb-edge.service"}
    assert {one["_COMM"] for one in found} == {"kerb-edge"}
    started = [one for one in found if one["MESSAGE"].startswith("session started")]
    assert started and int(started[0]["REGISTER_WH"]) == START_WH and started[0]["PRIORITY"] == "5"
    assert not any(CARD in one["MESSAGE"] for one in found), "a token in the log"


def test_a_program_that_hangs_is_restarted_by_the_watchdog(vm):
    # The starts of the tests before count too: the fifth failure is answered by kerb-edge-recover's start.
    vm.do("systemctl reset-failed kerb-edge")
    before, pid = int(vm.unit("NRestarts")), vm.unit("MainPID")
    vm.do(f"kill -STOP {pid}")
    hung = time.monotonic()
    assert vm.until(lambda: vm.unit("MainPID"), lambda now: now not in (pid, "0"), 90, pause=1) != pid, logged(vm)
    figures.note(TITLE, "SIGSTOP to the next program, s", f"{time.monotonic() - hung:.0f}")
    assert int(vm.unit("NRestarts")) == before + 1
    said = vm.do("journalctl -u kerb-edge --no-pager | grep -i 'watchdog timeout'", check=False)
    assert "Watchdog timeout" in said
    found = vm.until(lambda: vm.do("systemctl is-active kerb-edge", check=False), lambda word: word == "active", 60)
    assert found == "active"


def test_a_wrong_configuration_is_told_and_not_tried_again(vm):
    vm.do("cp /etc/kerb/edge.yaml /root/good.yaml; sed -i 's/^board:.*/board: no-such-board/' /etc/kerb/edge.yaml")
    vm.do("systemctl restart kerb-edge", seconds=120, check=False)
    assert vm.until(lambda: vm.unit("ActiveState"), lambda word: word == "failed", 60) == "failed"
    restarts = vm.unit("NRestarts")
    assert vm.unit("ExecMainStatus") == "2"
    # RestartSec is one second: three of them would show.
    vm.do("sleep 4")
    assert (vm.unit("ActiveState"), vm.unit("NRestarts")) == ("failed", restarts)
    assert "no-such-board" in logged(vm)
    vm.do("cp /root/good.yaml /etc/kerb/edge.yaml; systemctl reset-failed kerb-edge")


def test_an_upgrade_restarts_what_runs_and_keeps_the_configuration(vm, packages, tmp_path):
    vm.do("systemctl start kerb-edge", seconds=120)
    pid = vm.unit("MainPID")
    text = vm.do("cat /etc/kerb/edge.yaml")
    # The same package again is what an upgrade's maintainer scripts see: configure with the version before.
    vm.do("dpkg -i --force-confold /root/kerb-edge.deb 2>&1", seconds=300)
    assert vm.do("systemctl is-active kerb-edge", check=False) == "active", logged(vm)
    assert vm.unit("MainPID") != pid
    assert vm.do("cat /etc/kerb/edge.yaml") == text


def test_the_same_unit_drives_gpio_lines_and_leaves_them_open_when_it_hangs(vm):
    put(vm, "/etc/kerb/edge.yaml", SPLIT.format(meters=name_of(vm, "rs485-", tty(vm, METERS))))
    # As the agent's own user, who may not write into /etc/kerb.
    vm.do("runuser -u kerb-edge -- kerb-edge config check /etc/kerb/edge.yaml", seconds=60)
    assert "ALLOW1" in vm.do("cat /var/lib/kerb-edge/edge.yaml.safe-lines")
    vm.do("systemctl restart kerb-edge", seconds=120)
    assert vm.until(lambda: status(vm).get("status"), lambda word: word == "Available", 60) == "Available", logged(vm)
    vm.pull("CP1_CONNECTED", 1)
    vm.until(lambda: status(vm).get("status"), lambda word: word == "Preparing", 20)
    vm.do("kerb-edge token 04A2B3C4 --config /etc/kerb/edge.yaml")
    vm.pull("CP1_READY", 1)
    assert vm.until(lambda: vm.relay(), lambda closed: closed == 1, 60) == 1, f"{status(vm)}\n{logged(vm)}"
    # Those that decide and open come before all others, and nobody else does.
    threads = vm.do(f"cat /proc/{vm.unit('MainPID')}/task/*/stat").split("\n")
    named = [(re.search(r"\((.*)\)", line)[1], line.rpartition(")")[2].split()) for line in threads]
    # The 41st field is the policy, 1 is SCHED_FIFO. proc(5).
    assert {name for name, fields in named if fields[38] == "1"} == {"gpio", "control"}, named
    figures.note(TITLE, "emergency stop to contactor line in the sandbox, us",
                 int(vm.do("hardware react ESTOP 1 ALLOW1 0")))
    vm.pull("ESTOP", 0)
    for line in ("CP1_READY", "CP1_CONNECTED"):
        vm.pull(line, 0)
    assert vm.until(lambda: status(vm).get("status"), lambda word: word == "Available", 60) == "Available", logged(vm)
    pid = vm.unit("MainPID")
    vm.do(f"kill -STOP {pid}")
    assert vm.until(lambda: vm.relay(), lambda closed: closed == 0, 3) == 0
    assert vm.until(lambda: vm.unit("MainPID"), lambda now: now not in (pid, "0"), 90, pause=1) != pid
    found = vm.until(lambda: status(vm).get("status"), lambda word: word == "Available", 60)
    assert found == "Available" and vm.relay() == 0


def test_an_upgrade_of_a_board_that_drives_its_lines_restarts_it_too(vm):
    pid = vm.unit("MainPID")
    said = vm.do("dpkg -i --force-confold /root/kerb-edge.deb 2>&1", seconds=300)
    assert "write your station" not in said and "fine" in said, said
    assert vm.do("systemctl is-active kerb-edge", check=False) == "active", logged(vm)
    assert vm.unit("MainPID") != pid
    assert vm.until(lambda: status(vm).get("status"), lambda word: word == "Available", 60) == "Available", logged(vm)


def test_the_doctor_of_the_installed_package_finds_nothing_bad(vm):
    found = json.loads(vm.do(
        "kerb-edge doctor --json --config /etc/kerb/edge.yaml 2>/dev/null", seconds=120, check=False))
    bad = [one for one in found if one["verdict"] == "BAD"]
    # Nobody is at the other end of the operator's address.
    assert {one["topic"] for one in bad} <= {"link", "operator", "csms"}, bad
    assert {one["verdict"] for one in found if one["topic"].startswith("line ")} == {"ok"}


def test_a_purge_under_systemd_leaves_no_unit_and_no_name(vm):
    vm.do("dpkg --purge kerb-edge 2>&1", seconds=300)
    assert vm.unit("LoadState") == "not-found"
    assert vm.do("cat /proc/[0-9]*/comm | grep -c kerb-edge || true").strip() == "0", "nothing runs without its program"
    assert vm.do("ls /etc/systemd/system/multi-user.target.wants | grep kerb || true") == ""
    assert vm.do("ls -d /var/lib/kerb-edge 2>/dev/null || true") == ""
