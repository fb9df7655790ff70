"""kill -9 of the agent at random moments of signed updates: every one is installed in the end, and
the file that is installed is the one that was signed.
"""
import asyncio
import pathlib
import random
import sys

import websockets

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peers"))

from ocpp.v16 import call  # noqa: E402
from upkeep_visit import Guarded, Visit, signed_update  # noqa: E402

ROUNDS = 25
KILLS = 3
SEED = 20261127
END = {"Installed", "InstallationFailed", "DownloadFailed", "InvalidSignature"}


async def supervise(visit):
    """Starts the agent again whenever it ends, as systemd would."""
    while True:
        if visit.site.processes["kerb-edge"].poll() is not None:
            visit.site.start_edge()
        await asyncio.sleep(0.05)


async def ask(system, message):
    """The answer, however often the line breaks."""
    while True:
        await system.connected.wait()
        try:
            return await asyncio.wait_for(system.central.call(message), 5)
        except (websockets.ConnectionClosed, TimeoutError, asyncio.TimeoutError):
            await asyncio.sleep(0.05)


def test_an_update_survives_kill_9(tmp_path):
    async def rounds():
        chance = random.Random(SEED)
        system = Guarded()
        await system.open()
        visit = Visit(tmp_path, system)
        installed = tmp_path / "installed"
        deaths = 0
        keeper = None
        try:
            visit.site.start()
            keeper = asyncio.create_task(supervise(visit))
            await system.until("BootNotification", lambda f: True)
            await ask(system, call.InstallCertificate(
                certificate_type="ManufacturerRootCertificate", certificate=visit.maker.pem))
            for number in range(1, ROUNDS + 1):
                image = chance.randbytes(chance.randrange(1, 3_000_000))
                visit.files.offered["/firmware"] = image
                since = len(system.events)
                answer = await ask(system, signed_update(visit, "/firmware", number, image=image))
                assert answer.status in ("Accepted", "AcceptedCanceled")
                for _ in range(chance.randrange(KILLS + 1)):
                    await asyncio.sleep(chance.random() * 2)
                    if visit.site.processes["kerb-edge"].poll() is None:
                        visit.site.kill_edge()
                        deaths += 1
                told = await system.until(
                    "SignedFirmware",
                    lambda f, n=number: f["request"] == n and f["status"] in END, since, 60)
                assert told["status"] == "Installed", (number, told)
                assert installed.read_bytes() == image
        except BaseException:
            print(visit.site.logs())
            print(*system.events[-40:], sep="\n")
            raise
        finally:
            if keeper:
                keeper.cancel()
            await asyncio.to_thread(visit.stop)
            await system.close()
        assert deaths > ROUNDS // 2
    asyncio.run(rounds())
