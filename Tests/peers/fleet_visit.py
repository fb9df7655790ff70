"""One run of a fleet with faults against a server that is restarted and killed meanwhile."""
import asyncio

from cpo_server import ConfiguredServer
from fault_fleet import CONNECTORS, EVERYTHING, Fleet
from faulty_line import FAULTS
from fleet_books import judge

LIMIT_SECONDS = 400
# At these parts of all charges the server ends; every other time it is killed.
RESTARTS = (0.2, 0.45, 0.7)
TOKEN = {"type": "RFID", "issuer": "Test", "valid": True, "whitelist": "ALWAYS"}


def put_tokens(server):
    for number in range(1, CONNECTORS + 1):
        status, answer = server.api("PUT", f"/tokens/CARD-{number}", {**TOKEN, "contract_id": f"CONTRACT-{number}"})
        assert status == 200, answer


async def trouble(server, fleet, restarts=RESTARTS):
    for number, share in enumerate(restarts):
        await fleet.reach(share)
        await asyncio.to_thread(server.stop if number % 2 else server.kill)
        await asyncio.to_thread(server.start)


async def visit(folder, seed, stations, charges, database=None, allowed=EVERYTHING, faults=FAULTS):
    """What `judge` found, and how many faults there were. What fails says how to run it again."""
    server = ConfiguredServer(folder / "data", database=database, ocpp="orphanGraceSeconds: 60").start()
    fleet = Fleet(server.ws, seed, stations, charges, allowed, faults)
    try:
        put_tokens(server)
        async with asyncio.timeout(LIMIT_SECONDS):
            await asyncio.gather(fleet.run(), trouble(server, fleet))
        outcome = await asyncio.to_thread(judge, fleet, server, "never" in allowed)
    except BaseException:
        print(f"to run it again: FAULT_SEED={seed}; what every station told and heard: {folder}/told")
        with open(folder / "told", "w", encoding="utf-8") as file:
            for station in fleet.stations:
                for line in station.line.log:
                    print(station.name, *line, file=file)
        server.kill()
        raise
    await asyncio.to_thread(server.stop)
    return {**outcome, "faults": sum(fleet.counts.get(name, 0) for name in FAULTS)}
