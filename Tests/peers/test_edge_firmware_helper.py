"""An update that the agent may not install itself: root's helper checks and installs it, and brings the
program before it back when the new one does not come up.

PyPI `ocpp` is the operator, PyCA's `cryptography` signs; the test plays systemd: it calls the helper
whenever its path unit would, and `recover` when the agent has failed for good.
"""
import asyncio
import contextlib
import os
import pathlib
import subprocess
import tempfile

import pytest
from ocpp.v16 import call

from edge_site import BIN, ENVIRONMENT, ROOT
from upkeep_visit import FIRMWARE, Authority, Guarded, Visit, signed_update

LIMIT = 120  # seconds for the whole visit
RECOVER = ROOT / "debian" / "firmware" / "recover"


@pytest.fixture
def tmp_path():
    """Root acts on nothing below /tmp, where everybody may write."""
    with tempfile.TemporaryDirectory(prefix="test-of-kerb-", dir=pathlib.Path.home()) as folder:
        yield pathlib.Path(folder)


class Helped(Visit):
    """A board whose agent only hands over."""

    def __init__(self, folder, system):
        super().__init__(folder, system)
        self.state = folder / "state"
        (folder / "maker.pem").write_text(self.maker.pem)
        path = folder / "edge.yaml"
        path.write_text(path.read_text().replace(
            "  acceptUnsigned: true",
            f"  acceptUnsigned: false\n  rootFile: {folder}/maker.pem\n  helperFolder: {self.state}"))
        path.chmod(0o644)
        self.calls = []

    def apply(self):
        return subprocess.run(
            [BIN / "kerb-edge", "firmware", "apply", "--config", self.folder / "edge.yaml"],
            capture_output=True, text=True, env=ENVIRONMENT)

    async def path_unit(self):
        while True:
            if (self.folder / "data" / "firmware" / "request").exists():
                self.calls.append(await asyncio.to_thread(self.apply))
            await asyncio.sleep(0.05)

    async def ends(self):
        process = self.site.processes["kerb-edge"]
        assert await asyncio.to_thread(process.wait, 30) == 0

    def recover(self):
        return recovered(self.folder, self.state)


def recovered(folder, state, **environment):
    """What `recover` said and what it had systemd do."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{folder}/systemctl\n')
    (tools / "kerb-edge").write_text(f'#!/bin/sh\necho "$STATE_DIRECTORY" "$@" >>{folder}/systemctl\nexit 1\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    done = subprocess.run(
        ["sh", RECOVER, state, "kerb-edge.service"], capture_output=True, text=True,
        env={"PATH": f"{tools}:{os.environ['PATH']}", "RECOVER_PAUSE": "0", "KERB_EDGE": str(tools / "kerb-edge"),
             **environment})
    orders = pathlib.Path(folder / "systemctl")
    orders = orders.read_text().splitlines() if orders.exists() else []
    # Before any pause, and though the program cannot do it.
    assert orders[:1] == SAFE
    return done, [order for order in orders if order not in SAFE]


SAFE = ["/var/lib/kerb-edge run --outputs-safe --config /etc/kerb/edge.yaml"]
AGAIN = ["reset-failed kerb-edge.service", "start --no-block kerb-edge.service"]


def test_root_installs_what_root_trusts_and_brings_the_old_program_back(tmp_path):
    async def visit():
        system = Guarded()
        async with asyncio.timeout(LIMIT):
            await system.open()
            visit = Helped(tmp_path, system)
            keeper = asyncio.create_task(visit.path_unit())
            try:
                visit.site.start()
                await system.until("BootNotification", lambda f: True)
                await a_stranger_of_the_operators_is_refused(visit)
                await a_signed_one_is_installed_and_settled(visit)
                await one_that_does_not_come_up_is_taken_back(visit)
            except BaseException:
                print(visit.site.logs())
                print(*system.events[-30:], *visit.calls, sep="\n")
                raise
            finally:
                keeper.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await keeper
                await asyncio.to_thread(visit.stop)
                await system.close()
    asyncio.run(visit())


async def a_stranger_of_the_operators_is_refused(visit):
    """A root that came over OCPP is good enough for the agent, not for root."""
    system = visit.system
    stranger = Authority("Somebody")
    answer = await system.ask(call.InstallCertificate(
        certificate_type="ManufacturerRootCertificate", certificate=stranger.pem))
    assert answer.status == "Accepted"
    visit.files.offered["/firmware"] = FIRMWARE
    since = len(system.events)
    assert (await system.ask(signed_update(visit, "/firmware", 1, signer=stranger))).status == "Accepted"
    await system.until("SignedFirmware", lambda f: f["status"] == "InstallationFailed", since)
    assert "not signed by the manufacturer" in (visit.folder / "kerb-edge.log").read_text()
    assert not (visit.folder / "installed").exists()
    assert not (visit.state / "pending").exists()


async def a_signed_one_is_installed_and_settled(visit):
    system = visit.system
    since = len(system.events)
    assert (await system.ask(signed_update(visit, "/firmware", 2, sign="pss"))).status == "Accepted"
    await system.until("SignedFirmware", lambda f: f["status"] == "InstallRebooting", since)
    assert (visit.state / "pending").exists(), "the way back is kept until the new one is well"
    await visit.restarts()
    await system.until("SignedFirmware", lambda f: f["status"] == "Installed", since)
    assert (visit.folder / "installed").read_bytes() == FIRMWARE
    async with asyncio.timeout(20):
        while (visit.state / "pending").exists():
            await asyncio.sleep(0.05)


async def one_that_does_not_come_up_is_taken_back(visit):
    system = visit.system
    since = len(system.events)
    assert (await system.ask(signed_update(visit, "/firmware", 3))).status == "Accepted"
    await system.until("SignedFirmware", lambda f: f["status"] == "InstallRebooting", since)
    await visit.ends()
    # The new program does not even read its job; systemd gives it up.
    done, orders = await asyncio.to_thread(visit.recover)
    assert "the program before it is back" in done.stdout, done
    assert (visit.folder / "rolled-back").exists() and orders == AGAIN
    before = system.central
    visit.site.start_edge()
    await system.back(before)
    told = await system.until("SignedFirmware", lambda f: f["status"] == "InstallationFailed", since)
    assert told["request"] == 3
    assert "Installed" not in system.statuses(since)
    async with asyncio.timeout(20):
        while (visit.state / "rolled-back").exists():
            await asyncio.sleep(0.05)


def test_an_agent_that_fails_without_an_update_is_started_again(tmp_path):
    (tmp_path / "state").mkdir()
    done, orders = recovered(tmp_path, tmp_path / "state", MONITOR_EXIT_STATUS="1")
    assert done.returncode == 0 and orders == AGAIN


def test_a_wrong_configuration_waits_for_a_person(tmp_path):
    (tmp_path / "state").mkdir()
    done, orders = recovered(tmp_path, tmp_path / "state", MONITOR_EXIT_STATUS="2")
    assert done.returncode == 0 and "configuration is wrong" in done.stderr and orders == []


@pytest.mark.parametrize("way_back", ["exit 0", "exit 1"])
def test_a_way_back_is_gone_once_and_the_agent_started_whatever_comes_of_it(tmp_path, way_back):
    state = tmp_path / "state"
    state.mkdir()
    (state / "pending").write_text("1a\n")
    (state / "roll-back").write_text(f"#!/bin/sh\necho once >>{tmp_path}/count\n{way_back}\n")
    for _ in range(2):
        done, orders = recovered(tmp_path, state, MONITOR_EXIT_STATUS="1")
        assert done.returncode == 0
    assert orders == AGAIN * 2
    assert (tmp_path / "count").read_text() == "once\n"
    assert (state / "rolled-back").exists() and not (state / "pending").exists()


def test_root_does_not_act_on_a_configuration_that_others_may_write(tmp_path):
    async def visit():
        system = Guarded()
        await system.open()
        visit = Helped(tmp_path, system)
        try:
            (tmp_path / "data" / "firmware").mkdir(parents=True)
            # A file that a later word of the command names, as a script behind its interpreter.
            script = tmp_path / "installed"
            script.write_text("")
            for place, good, bad in (
                    (tmp_path / "edge.yaml", 0o644, 0o666), (script, 0o644, 0o666), (tmp_path, 0o700, 0o777)):
                place.chmod(bad)
                (tmp_path / "data" / "firmware" / "request").write_text('{"id": "1a", "kind": "settled"}')
                done = await asyncio.to_thread(visit.apply)
                assert done.returncode == 7
                assert f"{place}: others than root may write it" in (visit.state / "answer").read_text()
                (visit.state / "answer").unlink()
                place.chmod(good)
        finally:
            await asyncio.to_thread(visit.stop)
            await system.close()
    asyncio.run(visit())
