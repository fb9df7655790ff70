"""kill -9 of the server between a station's message and its answer: nothing is lost, nothing doubled.

The station behaves as OCPP 1.6 asks: it repeats a message until it is answered.
"""
import asyncio
import json
import random
import sqlite3
import uuid

import websockets

from cpo_server import Server

ROUNDS = 12
SEED = 20261121


class Station:
    """Sends one call at a time; gives None when the line broke before the answer."""

    def __init__(self, server, name):
        self.url = server.ws + name
        self.socket = None

    async def connect(self):
        self.socket = await websockets.connect(self.url, subprotocols=["ocpp1.6"])

    async def call(self, action, payload, before_answer=None):
        number = str(uuid.uuid4())
        try:
            await self.socket.send(json.dumps([2, number, action, payload]))
            if before_answer:
                await before_answer()
            while True:
                frame = json.loads(await asyncio.wait_for(self.socket.recv(), 10))
                if frame[0] == 3 and frame[1] == number:
                    return frame[2]
                assert frame[0] != 4, frame
        except (websockets.ConnectionClosed, OSError):
            return None


def stamp(second):
    return f"2026-06-01T10:{second // 60:02d}:{second % 60:02d}Z"


async def journey(server, chance):
    """One charge; the server dies at a random moment of every message."""
    station = Station(server, "CRASH-1")
    deaths = 0

    async def told(action, payload):
        nonlocal deaths
        answers = []
        for attempt in range(3):
            async def dying():
                await asyncio.sleep(chance.random() * 0.004)
                server.kill()

            answer = await station.call(action, payload, dying if attempt == 0 else None)
            if answer is not None:
                answers.append(answer)
            if attempt == 0:
                deaths += 1
                server.start()
                await station.connect()
        assert len(answers) >= 2 and all(a == answers[0] for a in answers), (action, answers)
        return answers[0]

    await station.connect()
    boot = await station.call("BootNotification", {
        "chargePointVendor": "Test", "chargePointModel": "Crash"})
    assert boot["status"] == "Accepted"
    sums = []
    register = 1000
    for round_number in range(ROUNDS // 3):
        begin = round_number * 300
        start = {"connectorId": 1, "idTag": "DEMO-CARD-1", "meterStart": register,
                 "timestamp": stamp(begin)}
        started = await told("StartTransaction", start)
        number = started["transactionId"]
        assert started["idTagInfo"]["status"] == "Accepted" and number > 0
        await told("MeterValues", {
            "connectorId": 1, "transactionId": number, "meterValue": [
                {"timestamp": stamp(begin + 60),
                 "sampledValue": [{"value": str(register + 100)}]}]})
        gained = chance.randint(200, 900)
        await told("StopTransaction", {
            "transactionId": number, "meterStop": register + gained,
            "timestamp": stamp(begin + 200), "reason": "Local"})
        sums.append((number, gained))
        register += gained
    await station.socket.close()
    return sums, deaths


def test_nothing_is_lost_or_doubled(tmp_path):
    chance = random.Random(SEED)
    server = Server(tmp_path / "data").start()
    try:
        sums, deaths = asyncio.run(journey(server, chance))
    finally:
        server.stop()
    assert deaths == ROUNDS
    with sqlite3.connect(tmp_path / "data" / "kerb.sqlite") as database:
        rows = database.execute(
            "SELECT key, meter_last_wh - meter_start_wh FROM session ORDER BY key").fetchall()
        bills = database.execute("SELECT COUNT(*) FROM cdr").fetchone()[0]
        readings = database.execute(
            "SELECT session, COUNT(*) FROM meter_reading WHERE session != 0 GROUP BY session"
        ).fetchall()
        doubts = database.execute("SELECT code, detail FROM suspicion").fetchall()
    assert rows == sums
    assert bills == len(sums)
    assert [count for _, count in readings] == [1] * len(sums)
    assert doubts == []
