"""kerb-cpo on PostgreSQL: a charge, deaths of the program and of the server, backups, and who may come in.

The stations behave as OCPP 1.6 asks: they repeat a message until it is answered, an error included.
"""
import asyncio
import concurrent.futures
import json
import os
import random
import re
import socket
import sqlite3
import subprocess
import uuid

import pytest
import websockets
from ocpp.v16 import ChargePoint, call
from ocpp.v16.enums import AuthorizationStatus, RegistrationStatus

from cpo_server import BIN, Server
from ports import free_port
from postgres_server import PASSWORD, PostgresServer, programs
from test_cpo_crash import ROUNDS, SEED, journey, stamp

pytestmark = pytest.mark.skipif(programs() is None, reason="no PostgreSQL server is installed")

CONFIGURATION = """
listeners:
  - port: %d
party: {countryCode: IN, partyID: KRB, name: Test}
database: %s
drainSeconds: 0
ocpp: {unknownStations: adopt, lowestSecurityProfile: 0}
"""
LIMIT_SECONDS = 120
# The server ends with the thread that started it, so that thread stays.
HANDS = concurrent.futures.ThreadPoolExecutor(1)


@pytest.fixture(scope="module")
def postgres():
    with PostgresServer() as server:
        yield server


@pytest.fixture
def database(postgres):
    """A database of its own for one test: its URL, and its rows."""
    name = f"kerb_{uuid.uuid4().hex[:12]}"
    postgres.ask(f"CREATE DATABASE {name}")

    class Database:
        url = postgres.url.replace("/postgres?", f"/{name}?")
        tcp_url = postgres.tcp_url.replace("/postgres", f"/{name}")

        @staticmethod
        def ask(sql):
            return postgres.ask(sql, name)

    return Database


def run(*words, **environment):
    return subprocess.run([str(BIN / "kerb-cpo"), *map(str, words)], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})


def configured(folder, url, port=18999):
    file = folder / "cpo.yaml"
    file.write_text(CONFIGURATION % (port, url))
    return file


async def charge(url):
    """A station of PyPI's `ocpp`, whose every message is checked against the official schemas."""
    async with websockets.connect(url, subprotocols=["ocpp1.6"]) as wire:
        station = ChargePoint("PG-1", wire)
        listening = asyncio.create_task(station.start())
        boot = await station.call(call.BootNotification(
            charge_point_vendor="Test", charge_point_model="PG"))
        assert boot.status == RegistrationStatus.accepted
        started = await station.call(call.StartTransaction(
            connector_id=1, id_tag="DEMO-CARD-1", meter_start=1000, timestamp=stamp(0)))
        assert started.id_tag_info["status"] == AuthorizationStatus.accepted
        await station.call(call.MeterValues(
            connector_id=1, transaction_id=started.transaction_id, meter_value=[
                {"timestamp": stamp(60), "sampledValue": [{"value": "1600"}]}]))
        await station.call(call.StopTransaction(
            transaction_id=started.transaction_id, meter_stop=2500, timestamp=stamp(120), reason="Local"))
        listening.cancel()


def test_a_station_charges_once_and_its_bill_moves_between_the_engines(tmp_path, database):
    with Server(tmp_path / "data", database=database.url) as server:
        asyncio.run(asyncio.wait_for(charge(server.ws + "PG-1"), LIMIT_SECONDS))
        # A second server at the same rows is refused; what a person does beside it is not.
        config = configured(tmp_path, database.url, free_port())
        second = run("serve", "--config", config)
        assert second.returncode == 1 and "another program holds the database" in second.stderr, second.stderr
        assert run("key", "add", "desk", "--role", "admin", "--config", config).returncode == 0
        taken = run("backup", tmp_path / "copy.sqlite", "--config", config)
        assert taken.returncode == 0, taken.stderr
        (tmp_path / "copy.sqlite.before-restore").write_text("of an earlier restore")
        refused = run("restore", tmp_path / "copy.sqlite", "--config", config)
        assert refused.returncode == 1 and "another program holds the database" in refused.stderr
        assert [path.name for path in tmp_path.glob("copy.sqlite.*")] == ["copy.sqlite.before-restore"]
    assert database.ask("SELECT meter_last_wh - meter_start_wh, closure FROM session") == [["1500", "closed"]]
    assert database.ask("SELECT COUNT(*) FROM cdr") == [["1"]]
    # To SQLite: the demo on that file knows the charge and its bill.
    other = tmp_path / "sqlite"
    other.mkdir()
    config = configured(other, "sqlite:kerb.sqlite")
    moved = run("restore", tmp_path / "copy.sqlite", "--config", config)
    assert moved.returncode == 0, moved.stderr
    assert run("doctor", "--config", config).stdout.count("database: sound") == 1
    with sqlite3.connect(other / "kerb.sqlite") as rows:
        assert rows.execute("SELECT meter_last_wh - meter_start_wh FROM session").fetchall() == [(1500,)]
        assert rows.execute("SELECT COUNT(*) FROM cdr").fetchone() == (1,)
        rows.execute("UPDATE sequence SET value = value + 1000")
        numbers = dict(rows.execute("SELECT name, value FROM sequence").fetchall())
        last = rows.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()[0]
    # And back, over what is there now.
    assert run("backup", tmp_path / "back.sqlite", "--config", config).returncode == 0
    back = run("restore", tmp_path / "back.sqlite", "--config", configured(tmp_path, database.url))
    assert back.returncode == 0 and "back.sqlite.before-restore-" in back.stdout, back.stderr
    # Numbers that were given since a backup may be in use.
    for name, value in database.ask("SELECT name, value FROM sequence"):
        assert int(value) > numbers[name] if name == "session" else int(value) == numbers[name]
    assert int(database.ask("SELECT last_value FROM pg_sequences WHERE sequencename = 'journal_seq_seq'")[0][0]) > last
    assert database.ask("SELECT COUNT(*) FROM cdr") == [["1"]]


def test_kill_9_between_message_and_answer_loses_and_doubles_nothing(tmp_path, database):
    chance = random.Random(SEED)
    server = Server(tmp_path / "data", database=database.url).start()
    try:
        sums, deaths = asyncio.run(journey(server, chance))
    finally:
        server.stop()
    assert deaths == ROUNDS
    rows = database.ask("SELECT key, meter_last_wh - meter_start_wh FROM session ORDER BY key")
    assert rows == [[str(key), str(gained)] for key, gained in sums]
    assert database.ask("SELECT COUNT(*) FROM cdr") == [[str(len(sums))]]
    readings = database.ask("SELECT COUNT(*) FROM meter_reading WHERE session <> 0 GROUP BY session")
    assert readings == [["1"]] * len(sums)
    assert database.ask("SELECT code, detail FROM suspicion") == []


class Repeating:
    """A station that repeats each message until it is answered with a result, over as many sockets as it takes."""

    def __init__(self, url):
        self.url = url
        self.socket = None
        self.refused = 0

    async def tell(self, action, payload):
        while True:
            number = str(uuid.uuid4())
            try:
                if self.socket is None:
                    self.socket = await websockets.connect(self.url, subprotocols=["ocpp1.6"])
                await self.socket.send(json.dumps([2, number, action, payload]))
                while True:
                    frame = json.loads(await asyncio.wait_for(self.socket.recv(), 30))
                    if frame[0] == 3 and frame[1] == number:
                        return frame[2]
                    if frame[0] == 4 and frame[1] == number:
                        assert frame[2] == "InternalError", frame
                        self.refused += 1
                        break
                    if frame[0] == 2:
                        await self.socket.send(json.dumps([3, frame[1], {"status": "Rejected"}]))
            except (websockets.ConnectionClosed, OSError):
                self.socket = None
            await asyncio.sleep(0.05)


async def charges(url, count, chance, progress):
    """`count` charges of three readings; what each took in, by its number."""
    station = Repeating(url)
    await station.tell("BootNotification", {"chargePointVendor": "Test", "chargePointModel": "PG"})
    sums, register = {}, 1000
    for index in range(count):
        begin = index * 30
        started = await station.tell("StartTransaction", {
            "connectorId": 1, "idTag": "DEMO-CARD-1", "meterStart": register, "timestamp": stamp(begin)})
        gained = chance.randint(300, 900)
        for reading in range(3):
            await station.tell("MeterValues", {
                "connectorId": 1, "transactionId": started["transactionId"], "meterValue": [
                    {"timestamp": stamp(begin + 5 * (reading + 1)),
                     "sampledValue": [{"value": str(register + 100 * reading)}]}]})
        await station.tell("StopTransaction", {
            "transactionId": started["transactionId"], "meterStop": register + gained,
            "timestamp": stamp(begin + 25), "reason": "Local"})
        sums[started["transactionId"]] = gained
        register += gained
        progress()
    await station.socket.close()
    return sums, station.refused


def test_a_server_that_restarts_under_load_loses_and_doubles_nothing(tmp_path, database, postgres):
    stations, each = 6, 20
    chance = random.Random(SEED)

    async def visit(server):
        done = 0

        def progress():
            nonlocal done
            done += 1

        async def trouble():
            """An upgrade, a crash, and sessions ended by hand, each while charges are under way."""
            for number, strike in enumerate((postgres.stop, postgres.crash, None), 1):
                while done < number * stations * each // 5:
                    await asyncio.sleep(0.01)
                if strike is None:
                    postgres.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                 " WHERE application_name LIKE 'kerb-cpo %'")
                    continue
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(HANDS, strike)
                await loop.run_in_executor(HANDS, postgres.start)

        results = await asyncio.wait_for(asyncio.gather(trouble(), *(
            charges(server.ws + f"PG-{index}", each, random.Random(chance.random()), progress)
            for index in range(stations))), LIMIT_SECONDS)
        return results[1:]

    with Server(tmp_path / "data", database=database.url) as server:
        outcomes = asyncio.run(visit(server))
    sums = {key: gained for found, _ in outcomes for key, gained in found.items()}
    assert len(sums) == stations * each
    rows = database.ask("SELECT key, meter_last_wh - meter_start_wh FROM session ORDER BY key")
    assert {int(key): int(gained) for key, gained in rows} == sums and len(rows) == len(sums)
    assert database.ask("SELECT COUNT(*) FROM cdr") == [[str(len(sums))]]
    readings = database.ask("SELECT COUNT(*) FROM meter_reading WHERE session <> 0 GROUP BY session")
    assert readings == [["3"]] * len(sums)
    assert database.ask("SELECT code, detail FROM suspicion") == []
    print("answers refused while the server was away:", sum(refused for _, refused in outcomes))


def test_a_way_to_another_machine_must_say_how_it_is_protected(tmp_path):
    checked = run("config", "check", configured(tmp_path, "postgresql://kerb:hidden@db.example.org/kerb"))
    assert checked.returncode == 2
    assert "sslmode=verify-full" in checked.stderr and "hidden" not in checked.stderr
    fine = configured(tmp_path, "postgresql://kerb:hidden@db.example.org/kerb?sslmode=verify-full")
    assert run("config", "check", fine).returncode == 0
    shown = run("config", "show", "--config", fine).stdout
    assert "postgresql://kerb:…@db.example.org" in shown and "hidden" not in shown
    for wrong in ("postgresql://kerb@db/kerb?password=hidden&sslmode=require", "postgresql://kerb@db/kerb?sslmod=x",
                  "mysql://kerb@db/kerb"):
        checked = run("config", "check", configured(tmp_path, wrong))
        assert checked.returncode == 2 and "hidden" not in checked.stderr, wrong


def test_a_password_comes_from_a_file_and_is_never_told(tmp_path, database):
    user = re.sub(r":[^:@/]+@", "@", database.tcp_url)
    config = configured(tmp_path, user)
    (tmp_path / "password").write_text("wrong one\n")
    (tmp_path / "password").chmod(0o600)
    with open(config, "a") as file:
        file.write("databasePasswordFile: password\n")
    refused = run("migrate", "--config", config)
    assert refused.returncode == 1 and "authentication failed" in refused.stderr, refused.stderr
    assert "wrong one" not in refused.stderr
    (tmp_path / "password").write_text(PASSWORD + "\n")
    assert run("migrate", "--config", config).returncode == 0
    (tmp_path / "password").chmod(0o644)
    assert "chmod 600" in run("config", "check", config).stderr
    # The same in the URL, where an error repeats the URL.
    wrong = database.tcp_url.replace("battery", "hammer")
    refused = run("migrate", "--config", configured(tmp_path, wrong))
    assert refused.returncode == 1 and "hammer" not in refused.stderr and "kerb:…@" in refused.stderr


def test_tls_checks_who_the_server_is(tmp_path, database, postgres):
    postgres.protect()
    url = database.tcp_url.replace("127.0.0.1", "localhost")
    good = f"{url}?sslmode=verify-full&sslrootcert={postgres.certificate}"
    assert run("migrate", "--config", configured(tmp_path, good)).returncode == 0
    other = f"{database.tcp_url}?sslmode=verify-full&sslrootcert={postgres.certificate}"
    refused = run("migrate", "--config", configured(tmp_path, other))
    assert refused.returncode == 1 and "certificate" in refused.stderr, refused.stderr


def test_no_server_is_a_sentence(tmp_path):
    refused = run("migrate", "--config", configured(tmp_path, "postgresql://kerb@127.0.0.1:1/kerb"))
    assert refused.returncode == 1
    assert "out of reach" in refused.stderr and "127.0.0.1" in refused.stderr and "start it" in refused.stderr
