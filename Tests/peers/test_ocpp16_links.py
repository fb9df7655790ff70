"""Links of PyPI `websockets` stations to a `kerb-cpo` with a configuration of its own: who may come in,
how often, how fast, and how they are told that the server goes away.
"""
import asyncio
import base64
import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest
import websockets

from cpo_server import BIN, free_port

LIMIT = 60
OLD, NEW = "old-password-0001", "new-password-0002"


class Operator:
    """`ocpp`: further lines of that section."""

    def __init__(self, folder, listeners="", ocpp=""):
        self.port = free_port()
        self.configuration = folder / "cpo.yaml"
        self.configuration.write_text(f"""\
listeners:
  - {{port: {self.port}}}{listeners}
database: sqlite:{folder}/kerb.sqlite
party: {{countryCode: IN, partyID: KRB, name: Test}}
ocpp:
  lowestSecurityProfile: 0
  connectsAnHour: 5
  messagesPerSecond: 50
  messageBurst: 60
  messageLogDays: 7
{ocpp}drainSeconds: 1
""")
        key = subprocess.run(
            [str(BIN / "kerb-cpo"), "key", "add", "test", "--role", "admin", "--config", str(self.configuration)],
            capture_output=True, text=True, timeout=60)
        assert key.returncode == 0, key.stderr
        self.key = key.stdout.split()[-1]
        with open(folder / "cpo.log", "wb") as log:
            self.process = subprocess.Popen(
                [str(BIN / "kerb-cpo"), "serve", "--config", str(self.configuration)], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None and time.monotonic() < deadline, (folder / "cpo.log").read_text()
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1).close()
                break
            time.sleep(0.02)

    def api(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    async def call(self, *words):
        return await asyncio.to_thread(self.api, *words)

    def connect(self, name, password=None):
        headers = {}
        if password:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        return websockets.connect(
            f"ws://127.0.0.1:{self.port}/ocpp/{name}", subprotocols=["ocpp1.6"], additional_headers=headers)

    async def status(self, name, password=None):
        """What the handshake is answered with; 101 for one that is taken."""
        try:
            async with self.connect(name, password):
                return 101
        except websockets.InvalidStatus as refused:
            return refused.response.status_code

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(30) == 0


@pytest.fixture
def operator(tmp_path):
    operator = Operator(tmp_path)
    yield operator
    operator.stop()


def run(coroutine):
    async def limited():
        async with asyncio.timeout(LIMIT):
            await coroutine
    asyncio.run(limited())


async def ask(socket, text):
    await socket.send(text)
    return json.loads(await asyncio.wait_for(socket.recv(), 20))


BOOT = '[2,"boot","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]'


def test_a_password_is_rotated_with_overlap_and_an_audit_line(operator):
    async def rotate():
        await operator.call("PUT", "/stations/PY-1", {"registration": "Accepted", "password": OLD})
        assert await operator.status("PY-1", OLD) == 101
        code, access = await operator.call("PUT", "/stations/PY-1/access", {"password": NEW, "overlapHours": 1})
        assert code == 200 and access["hasPassword"] and access["oldPasswordUntil"], access
        assert await operator.status("PY-1", OLD) == 101
        assert await operator.status("PY-1", NEW) == 101
        assert await operator.status("PY-1", OLD) == 401
        _, station = await operator.call("GET", "/stations/PY-1")
        assert "oldPasswordUntil" not in station["access"]
        _, audit = await operator.call("GET", "/audit")
        line = next(one for one in audit["items"] if one["action"] == "station.access")
        assert line["subject"] == "PY-1" and line["who"] == "key test"
        assert line["detail"] == {"password": "changed"} and NEW not in json.dumps(audit)
    run(rotate())


@pytest.mark.parametrize("body, field", [
    ({"securityProfile": 9}, "securityProfile"), ({"password": "short"}, "password"),
    ({"overlapHours": 10_000}, "overlapHours"), ({"colour": "red"}, "colour"),
])
def test_access_that_cannot_be_is_refused_with_its_field(operator, body, field):
    async def refuse():
        await operator.call("PUT", "/stations/PY-2", {"registration": "Accepted"})
        code, problem = await operator.call("PUT", "/stations/PY-2/access", body)
        assert code == 422 and problem["field"] == field and problem["detail"], problem
        code, _ = await operator.call("PUT", "/stations/NOBODY/access", {"strict": True})
        assert code == 404
    run(refuse())


def test_a_strict_station_hears_of_its_deviations(operator):
    async def depart():
        async with operator.connect("PY-3") as socket:
            await ask(socket, BOOT)
            await operator.call("PUT", "/stations/PY-3", {"registration": "Accepted"})
            odd = '[2,"1","BootNotification",{"chargePointModel":"M","chargePointVendor":"V","mood":"good"}]'
            assert (await ask(socket, odd))[0] == 3
            await operator.call("PUT", "/stations/PY-3/access", {"strict": True})
            answer = await ask(socket, odd.replace('"1"', '"2"'))
            # 1.6 keeps this misprint.
            assert answer[0] == 4 and answer[2] == "FormationViolation", answer
    run(depart())


def test_a_profile_is_raised_and_only_lowered_on_purpose(operator):
    async def move():
        await operator.call("PUT", "/stations/PY-4", {"registration": "Accepted", "password": OLD})
        assert (await operator.call("PUT", "/stations/PY-4/access", {"securityProfile": 1}))[0] == 200
        assert (await operator.call(
            "PUT", "/stations/PY-4/access", {"securityProfile": 2, "overlapHours": 0}))[0] == 200
        assert await operator.status("PY-4", OLD) == 403
        code, problem = await operator.call("PUT", "/stations/PY-4/access", {"securityProfile": 1})
        assert code == 422 and problem["field"] == "securityProfile"
        assert (await operator.call(
            "PUT", "/stations/PY-4/access", {"securityProfile": 1, "lower": True, "overlapHours": 0}))[0] == 200
        assert await operator.status("PY-4", OLD) == 101
    run(move())


def test_who_connects_too_often_is_held_off_until_somebody_looks(operator):
    async def come_and_go():
        for _ in range(5):
            assert await operator.status("PY-5") == 101
        assert await operator.status("PY-5") == 429
        assert await operator.status("PY-6") == 101
        _, station = await operator.call("GET", "/stations/PY-5")
        assert station["heldOff"]["reason"] == "it connects too often"
        assert station["heldOff"]["addresses"] == ["127.0.0.1"]
        _, refusals = await operator.call("GET", "/refusals")
        assert [one["reason"] for one in refusals["items"]] == ["it is held off for connecting too often"]
        assert (await operator.call("DELETE", "/stations/PY-5/hold"))[0] == 204
        assert await operator.status("PY-5") == 101
        assert (await operator.call("DELETE", "/stations/PY-5/hold"))[0] == 404
    run(come_and_go())


def test_a_flood_is_slowed_and_answered_whole_and_in_order(operator):
    async def flood():
        async with operator.connect("PY-7") as socket:
            await ask(socket, BOOT)
            await operator.call("PUT", "/stations/PY-7", {"registration": "Accepted"})
            await ask(socket, BOOT.replace('"boot"', '"again"'))
            count, began = 200, time.monotonic()
            for number in range(count):
                await socket.send(f'[2,"{number}","Authorize",{{"idTag":"NOBODY"}}]')
            answers = []
            while len(answers) < count:
                frame = json.loads(await asyncio.wait_for(socket.recv(), 20))
                if frame[0] == 3:
                    answers.append(frame[1])
            assert answers == [str(number) for number in range(count)]
            # Sixty at once, the others at fifty a second; what was read in one go is a debt.
            assert time.monotonic() - began > 1.5
        _, station = await operator.call("GET", "/stations/PY-7")
        assert "too-many-messages" in [one["kind"] for one in station["deviations"]]
    run(flood())


def test_a_command_is_taken_back_while_it_waits(operator):
    async def change_ones_mind():
        async with operator.connect("PY-8") as socket:
            await ask(socket, BOOT)
            await operator.call("PUT", "/stations/PY-8", {"registration": "Accepted"})
            _, first = await operator.call("POST", "/stations/PY-8/commands", {"command": "clearCache"})
            while True:
                sent = json.loads(await asyncio.wait_for(socket.recv(), 20))
                if sent[2] == "ClearCache":
                    break
                await socket.send(json.dumps([3, sent[1], {"status": "Accepted"}]))
            _, second = await operator.call("POST", "/stations/PY-8/commands", {"command": "reset"})
            code, taken = await operator.call("DELETE", f"/commands/{second['id']}")
            assert code == 200 and taken["state"] == "failed", taken
            assert taken["answer"] == "cancelled before it was sent"
            assert (await operator.call("DELETE", f"/commands/{first['id']}"))[0] == 409
            await socket.send(json.dumps([3, sent[1], {"status": "Accepted"}]))
            # The reset never comes: the next thing heard is the answer to this.
            assert (await ask(socket, '[2,"h","Heartbeat",{}]'))[1] == "h"
    run(change_ones_mind())


def test_the_reason_of_each_refusal_is_told_and_the_station_adopted_with_one_call(operator):
    async def knock():
        await operator.call("PUT", "/stations/PY-9", {"registration": "Rejected", "password": OLD})
        assert await operator.status("PY-9", OLD) == 404
        await operator.call("PUT", "/stations/PY-10", {"registration": "Accepted", "password": OLD})
        assert await operator.status("PY-10", NEW) == 401
        assert await operator.status("PY-10") == 401
        _, refusals = await operator.call("GET", "/refusals")
        reasons = {(one["station"], one["reason"]) for one in refusals["items"]}
        assert reasons == {
            ("py-9", "the station is registered as rejected"), ("py-10", "the password is wrong"),
            ("py-10", "no password was sent")}
        assert (await operator.call("PUT", "/stations/PY-9", {"registration": "Accepted"}))[0] == 200
        # The door follows the registry within a quarter of a second; the station tries again anyway.
        while await operator.status("PY-9", OLD) != 101:
            await asyncio.sleep(0.05)
    run(knock())


def test_the_log_of_a_station_is_searched(operator):
    async def search():
        async with operator.connect("PY-11") as socket:
            await ask(socket, BOOT)
            await operator.call("PUT", "/stations/PY-11", {"registration": "Accepted"})
            await ask(socket, BOOT.replace('"boot"', '"again"'))
            await ask(socket, '[2,"a","Authorize",{"idTag":"CARD_1"}]')
        for query, found in [
                ("station=PY-11&action=authorize", ["a"]), ("text=card_1", ["a"]), ("text=card%251", []),
                ("station=PY-11&action=BootNotification", ["again", "boot"]),
                ("from=2031-01-01T00:00:00Z", [])]:
            _, page = await operator.call("GET", f"/messages?{query}")
            assert [one["messageID"] for one in page["items"]] == found, query
    run(search())


def test_stations_are_told_that_the_server_comes_back(operator):
    async def drain():
        async with contextlib.AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(operator.connect(f"PY-{20 + number}")) for number in range(5)]
            for socket in sockets:
                await ask(socket, BOOT)
            os.kill(operator.process.pid, signal.SIGTERM)
            for socket in sockets:
                await asyncio.wait_for(socket.wait_closed(), 20)
                assert socket.close_code == 1012
    run(drain())
