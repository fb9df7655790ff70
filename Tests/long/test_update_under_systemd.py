"""Updates as a board gets them: the package under its real units in a Debian that boots, the operator PyPI
`ocpp`, the firmware a Debian package signed by PyCA's `cryptography`.

Needs root and a Debian mirror; says so where it cannot run.
"""
import asyncio
import os
import pathlib
import re
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peers"))

from booted_debian import Booted  # noqa: E402
from debian_root import run  # noqa: E402
from upkeep_visit import PASSWORD, Authority, Files, Guarded, signed_update  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and debootstrap need root")

LIMIT = 240  # seconds for one update and its end

STATION = """\
stationID: PEER-1
csms:
  url: ws://127.0.0.1:{port}/ocpp
  securityProfile: 1
  passwordFile: /etc/kerb/password
board: modbus-cabinet
buses:
  - {{name: control, kind: tcp, host: 127.0.0.1, port: 9}}
  - {{name: meters, kind: tcp, host: 127.0.0.1, port: 10}}
evses:
  - connector: 1
    meter: {{profile: sdm630, bus: meters, unit: 1}}
    contactor: {{bus: control, unit: 10, coil: 0}}
    pilot: {{bus: control, unit: 11}}
site: {{fuseAmperes: 63, phases: 3}}
transfers:
  hosts: [127.0.0.1]
firmware:
  installCommand: [/usr/lib/kerb-edge/package, install, "{{file}}"]
  rollbackCommand: [/usr/lib/kerb-edge/package, roll-back]
  helperFolder: /var/lib/kerb-edge-install
  rootFile: /etc/kerb/maker.pem
"""
# Reads no job, no configuration: nothing of ours runs in it.
CRASHES = "#!/bin/sh\n[ \"$1\" = config ] && exit 0\nkill -SEGV $$\n"


def package_file():
    given = os.environ.get("EDGE_PACKAGE")
    return pathlib.Path(given) if given else None


@pytest.fixture(scope="module")
def edge_package(request):
    return package_file() or request.getfixturevalue("packages")["kerb-edge"]


@pytest.fixture(scope="module")
def board(edge_package, tmp_path_factory):
    board = Booted(tmp_path_factory.mktemp("board") / "root")
    try:
        board.install(edge_package)
        yield board
    finally:
        board.stop()


def changed(package, folder, version, program=None):
    """The package with another version, and another program where one is given."""
    folder.mkdir()
    run("dpkg-deb", "-R", package, folder / "raw")
    control = folder / "raw/DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.M))
    if program:
        (folder / "raw/usr/bin/kerb-edge").write_text(program)
        (folder / "raw/DEBIAN/md5sums").unlink(missing_ok=True)
    run("dpkg-deb", "--root-owner-group", "-b", folder / "raw", folder / "firmware.deb")
    return (folder / "firmware.deb").read_bytes()


class Operator:
    def __init__(self, board):
        self.board = board
        self.system = Guarded()
        self.maker = Authority("Maker's root")
        self.files = Files()
        self.number = 0

    def station(self):
        self.board.path("/etc/kerb/edge.yaml").write_text(STATION.format(port=self.system.port))
        self.board.path("/etc/kerb/password").write_text(PASSWORD + "\n")
        self.board.path("/etc/kerb/maker.pem").write_text(self.maker.pem)
        self.board.sh("cd /etc/kerb; chown kerb-edge password; chmod 600 password; chmod 644 edge.yaml maker.pem")
        self.board.sh("kerb-edge config check /etc/kerb/edge.yaml; systemctl start kerb-edge")

    async def update(self, image, end):
        """Orders an update and waits for its end; gives every word that was told."""
        self.number += 1
        since = len(self.system.events)
        self.files.offered["/firmware.deb"] = image
        visit = types.SimpleNamespace(maker=self.maker, files=self.files)
        answer = await self.system.ask(signed_update(visit, "/firmware.deb", self.number, image=image))
        assert answer.status == "Accepted"
        await self.system.until(
            "SignedFirmware", lambda f: f["status"] == end and f["request"] == self.number, since, LIMIT)
        return self.system.statuses(since)


def visited(board, body):
    async def visit():
        operator = Operator(board)
        await operator.system.open()
        try:
            await asyncio.to_thread(operator.station)
            await operator.system.until("BootNotification", lambda f: True, 0, 60)
            await body(operator)
        except BaseException:
            print(board.ask("journalctl --no-pager -n 200 -u 'kerb-edge*'"))
            print(*operator.system.events[-30:], sep="\n")
            print(board.ask("cat /var/lib/kerb-edge-install/*.log"))
            raise
        finally:
            await asyncio.to_thread(board.ask, "systemctl stop kerb-edge")
            await asyncio.to_thread(operator.files.stop)
            await operator.system.close()
    asyncio.run(visit())


def version(board):
    return board.sh("dpkg-query -W -f '${Version}' kerb-edge")


def test_a_package_is_installed_though_the_agent_may_write_nothing(board, edge_package, tmp_path):
    image = changed(edge_package, tmp_path / "next", "9.1")

    async def body(operator):
        told = await operator.update(image, "Installed")
        assert "InstallationFailed" not in told
        assert await asyncio.to_thread(version, board) == "9.1"
        assert (await asyncio.to_thread(board.ask, "systemctl is-active kerb-edge")).strip() == "active"
        await asyncio.to_thread(
            board.until, lambda: not board.path("/var/lib/kerb-edge-install/pending").exists(), 30)
    visited(board, body)


def test_a_program_that_does_not_even_start_is_replaced_by_the_one_before_it(board, edge_package, tmp_path):
    image = changed(edge_package, tmp_path / "broken", "9.2", CRASHES)

    async def body(operator):
        before = await asyncio.to_thread(version, board)
        told = await operator.update(image, "InstallationFailed")
        assert told[-1] == "InstallationFailed" and "Installed" not in told
        assert await asyncio.to_thread(version, board) == before
        assert (await asyncio.to_thread(board.ask, "systemctl is-active kerb-edge")).strip() == "active"
        log = await asyncio.to_thread(board.sh, "journalctl --no-pager -u kerb-edge-recover")
        assert "the program before it is back" in log
    visited(board, body)


def test_an_agent_that_crashes_without_an_update_is_started_again_for_ever(board):
    async def body(operator):
        path = board.path("/usr/bin/kerb-edge")
        good = path.with_name("kerb-edge.good")
        path.rename(good)
        path.write_text("#!/bin/sh\nexit 1\n")
        path.chmod(0o755)
        await asyncio.to_thread(board.sh, "systemctl kill -s KILL kerb-edge")
        await asyncio.to_thread(
            board.until, lambda: "active" in board.ask("systemctl is-active kerb-edge-recover"), 60)
        good.rename(path)
        since = len(operator.system.events)
        await operator.system.until("BootNotification", lambda f: True, since, 60)
    visited(board, body)


def test_the_unit_opens_what_a_drop_in_names_below_sys_and_nothing_else(board):
    """A direct pilot's PWM: `kerb-edge doctor` prints such a line. Any device below /sys shows it."""
    device = "/sys/devices/virtual/mem"
    # A unit of its own: systemd-run would need a bus, which a board may not have.
    board.path("/root/probe").write_text(
        "for f in /sys/devices/virtual/*/*/uevent; do (: >>$f) 2>/dev/null && echo $f; done; true\n")
    sandbox = [line for line in board.sh("systemctl cat kerb-edge").splitlines()
               if re.match(r"Protect(System|KernelTunables)=", line)]
    assert "ProtectKernelTunables=yes" in sandbox

    def written(*more):
        lines = ["[Service]", "Type=oneshot", "ExecStart=/bin/sh /root/probe", "StandardOutput=truncate:/run/probed"]
        board.path("/etc/systemd/system/probe.service").write_text("\n".join([*lines, *sandbox, *more]) + "\n")
        return board.sh("systemctl daemon-reload; systemctl start probe; cat /run/probed").split()

    assert written() == []
    opened = written(f"ReadWritePaths=-{device}")
    assert opened and all(path.startswith(device) for path in opened)
    # A class holds links: what they lead to stays closed.
    assert written("ReadWritePaths=-/sys/class/mem") == []
