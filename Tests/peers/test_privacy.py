"""A driver of PyPI `ocpp`'s station charges, asks what is kept of him, and is erased: nothing of his card is left in
the database's files, in its log, in the API's answers or in the station's list; his bill stands to the last digit.
"""
import asyncio
import csv
import io
import json
import subprocess
import time
import urllib.request

from ocpp.v16 import call

import test_ocpp16_station
from cpo_server import BIN, Server
from test_ocpp16_station import connected, run, stamp
from test_ocpp16_tokens import Lister, ask, put

CARD, CONTRACT = "PEER-CARD-77", "PEER-CONTRACT-77"
CONFIGURATION = """
listeners: [{port: 18999}]
party: {countryCode: IN, partyID: DMO, name: Demo}
database: sqlite:%s
"""


def bills(server):
    key = (server.folder / "demo-api-key").read_text().strip()
    request = urllib.request.Request(
        server.http + "/api/v1/cdrs", headers={"Authorization": f"Bearer {key}", "Accept": "text/csv"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return list(csv.DictReader(io.StringIO(answer.read().decode())))


def tool(folder, *words):
    return subprocess.run(
        [BIN / "kerb-cpo", *words, "--config", folder / "cpo.yaml"], text=True, capture_output=True, timeout=60)


def erase(folder, *words):
    return tool(folder, "erase", "--token", CARD.lower(), *words)


def leftovers(server):
    """Where the card's bytes still are."""
    names = [CARD.lower().encode(), CONTRACT.lower().encode()]
    files = [path for path in server.folder.rglob("*") if path.is_file() and "before-restore" not in path.name]
    files.append(server.folder.parent / f"{server.folder.name}.log")
    found = [path.name for path in files if any(name in path.read_bytes().lower() for name in names)]
    for path in ("/sessions", "/cdrs", "/tokens", "/audit", "/messages", "/commands", "/suspicions", "/stations",
                 "/reservations"):
        status, answer = ask(server, "GET", path)
        assert status == 200, path
        if any(name in json.dumps(answer).lower().encode() for name in names):
            found.append(path)
    return found


def test_a_driver_is_forgotten_and_his_bill_stands(tmp_path, monkeypatch):
    monkeypatch.setattr(test_ocpp16_station, "Station", Lister)

    async def visit(server):
        api = lambda *words: asyncio.to_thread(ask, server, *words)  # noqa: E731
        start = call.StartTransaction(connector_id=1, id_tag=CARD, meter_start=1000, timestamp=stamp())
        async with connected(server, "PRIVACY-1") as station:
            assert (await station.boot()).status == "Accepted"
            await asyncio.to_thread(put, server, CARD, contract_id=CONTRACT)
            await api("PUT", "/stations/PRIVACY-1/local-list", {"kept": True})
            await station.until(lambda: CARD in station.list)
            assert (await station.call(call.Authorize(id_tag=CARD))).id_tag_info["status"] == "Accepted"
            number = (await station.call(start)).transaction_id
            status, refusal = await api("POST", "/erasure", {"token": CARD, "dryRun": False})
            assert status == 409 and "session" in refusal["detail"]
            await station.call(call.StopTransaction(
                transaction_id=number, meter_stop=9000, timestamp=stamp(3600), id_tag=CARD, reason="Local"))
            before = await asyncio.to_thread(bills, server)
            assert len(before) == 1 and CARD in json.dumps(before)

            # The tool beside the server says the same as the console.
            dry = await asyncio.to_thread(erase, tmp_path, "--dry-run")
            assert dry.returncode == 0 and "sessions: 1 would be erased (there stay amounts" in dry.stdout, dry
            status, plan = await api("POST", "/erasure", {"token": CARD})
            kinds = {item["kind"] for item in plan["items"]}
            assert {"sessions", "tokens", "messages", "stationLists", "auditLines"} <= kinds
            assert all(not item["held"] for item in plan["items"]), plan
            status, report = await api("POST", "/erasure/report", {"token": CARD})
            assert status == 200 and CONTRACT in json.dumps(report)

            assert (await asyncio.to_thread(tool, tmp_path, "backup", tmp_path / "backup")).returncode == 0
            lists = len(station.sent)
            status, done = await api("POST", "/erasure", {"token": CARD, "dryRun": False})
            assert status == 200 and not done["waiting"], done
            await station.until(lambda: CARD not in station.list)
            assert station.sent[lists][0] == "Full"
            assert await asyncio.to_thread(leftovers, server) == []
            after = await asyncio.to_thread(bills, server)
            changed = {key for key in before[0] if before[0][key] != after[0][key]}
            assert len(after) == 1 and changed and all(after[0][key] == "ERASED" for key in changed), changed
            # Told again by its charger, it is the same charge.
            assert (await station.call(start)).transaction_id == number
            assert len(await asyncio.to_thread(bills, server)) == 1
            again = await asyncio.to_thread(erase, tmp_path, "--json")
            assert again.returncode == 0

    with Server(tmp_path / "data") as server:
        (tmp_path / "cpo.yaml").write_text(CONFIGURATION % next(server.folder.glob("*.sqlite")))
        run(visit(server))
    exported = tool(tmp_path, "export", "bills", tmp_path / "bills.csv", "--unsettled")
    assert exported.returncode == 0 and "1 bills" in exported.stdout, exported

    # A backup brings him back, and the next start forgets him again.
    restored = tool(tmp_path, "restore", tmp_path / "backup")
    assert restored.returncode == 0 and "1 erasures are made again" in restored.stdout, restored
    server = Server(tmp_path / "data", port=server.port)
    assert any(CARD.encode() in path.read_bytes() for path in server.folder.glob("*.sqlite"))
    with server:
        deadline = time.monotonic() + 20
        while leftovers(server):
            assert time.monotonic() < deadline, leftovers(server)
            time.sleep(0.2)
        assert len(bills(server)) == 1
