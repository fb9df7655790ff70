"""Every deviation that is counted, provoked on the wire: one socket that is understood all the same, one that is strict.

Kinds are read from the code, so a new one without a case here fails.
"""
import asyncio
import base64
import json
import pathlib
import re
import socket
import time

import pytest
import websockets

from cpo_server import ConfiguredServer
from test_ocpp16_bad_input import BOOT, START, STATUS, VALUE, connected

KINDS = set(re.findall(r' case \w+ = "([a-z-]+)"', (
    pathlib.Path(__file__).parents[2] / "Sources/OCPP/Deviation.swift").read_text()))
F, P, T = "FormationViolation", "PropertyConstraintViolation", "TypeConstraintViolation"
# 1.6 keeps this misprint, and the two above of it.
O, MISSING, SECURITY = "OccurenceConstraintViolation", "ProtocolError", "SecurityError"
BEAT = '[2,"1","Heartbeat",%s]'
AT = '"2026-06-01T00:00:00Z"'


def authorize(tag):
    return f'[2,"1","Authorize",{{"idTag":{tag}}}]'


def status(at, more=""):
    return ('[2,"1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available",'
            f'"timestamp":{at}{more}}}]')


def meter(values):
    return f'[2,"1","MeterValues",{{"connectorId":1,"meterValue":{values}}}]'


READING = f'{{"timestamp":{AT},"sampledValue":[{{"value":"1"}}]}}'
# The frame, and the error a strict station gets. True: it is served all the same; None: nothing comes back.
FRAMES = {
    "message-id-not-text": ('[2,17,"Heartbeat",{}]', F),
    "message-id-too-long": (f'[2,"{"i" * 40}","Heartbeat",{{}}]', F),
    "payload-missing": ('[2,"1","Heartbeat"]', F),
    "broken-json": ('[2,"1","Heartbeat",{', F),
    "message-type-unknown": ('[5,"1","Heartbeat",{}]', None),
    "answer-nobody-waits-for": ('[3,"nobody",{}]', None),
    "binary-frame": (BEAT.encode() % b"{}", None),
    "padded-message": (BEAT % "{}" + "\n", None),
    "unknown-field": (BEAT % '{"mood":"good"}', F),
    "unknown-enum-value": (STATUS.replace('"NoError"', '"Error"') % 1, P),
    "text-too-long": (authorize(f'"{"T" * 25}"'), P),
    "text-for-number": (STATUS % '"1"', T),
    "number-for-text": (authorize("123"), T),
    "fraction-for-integer": (START % "12.7", T),
    "sample-unreadable": (VALUE % '{"value":"NaN"}', P),
    "decimal-comma": (VALUE % '{"value":"1,5"}', P),
    "empty-list": (meter("[]"), O),
    "object-for-list": (meter(READING), T),
    "list-too-long": (VALUE % ",".join(['{"value":"1"}'] * 300), O),
    "null-field": (status(AT, ',"info":null'), T),
    "timestamp-without-zone": (status('"2026-06-01T00:00:00"'), P),
    "timestamp-unreadable": (status('""'), P),
    "timestamp-missing": (meter('[{"sampledValue":[{"value":"1"}]}]'), MISSING),
    "connector-out-of-range": (START.replace('"connectorId":1', '"connectorId":0') % 1, P),
    "clock-unset": (status('"1970-01-01T00:00:05Z"'), P),
    "transaction-id-unset": (
        f'[2,"1","StopTransaction",{{"transactionId":0,"meterStop":1,"timestamp":{AT}}}]', True),
    "text-padded": (authorize('" X "'), P),
    "status-of-station": (STATUS.replace('"Available"', '"Charging"') % 0, P),
    "number-clamped": (START % 10 ** 15, P),
    "nul-character": (authorize(r'"X\u0000"'), P),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ConfiguredServer(tmp_path_factory.mktemp("deviations") / "data") as server:
        yield server


def counted(server, wanted, *stations):
    """The kinds that the stations' counters show. Counting comes after the answer, so they are waited for."""
    deadline = time.monotonic() + 10
    while True:
        found = set()
        for station in stations:
            code, known = server.api("GET", f"/stations/{station}")
            assert code == 200
            found |= {one["kind"] for one in known["deviations"]}
        if found == wanted or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def numbered(frame, number):
    """With an id of its own where it has the usual one."""
    return frame.replace(b'"1"', b'"n%d"' % number, 1) if isinstance(frame, bytes) else (
        frame.replace('"1"', f'"n{number}"', 1) if frame[:4] in ('[2,"', '[5,"') else frame)


async def each(socket, is_strict):
    """Throws all of them and gives what was not answered as it should be."""
    wrong = {}
    for number, (kind, (frame, strict)) in enumerate(FRAMES.items()):
        wanted = strict if is_strict or kind in ("broken-json", "message-type-unknown", "answer-nobody-waits-for") \
            else True
        frame = numbered(frame, number)
        answers = await socket.throw(frame, not isinstance(frame, bytes))
        is_right = answers == [] if wanted is None else len(answers) == 1 and (
            answers[0][0] == 3 if wanted is True else answers[0][0] == 4 and answers[0][2] == wanted)
        if not is_right:
            wrong[kind] = (wanted, answers)
    return wrong


async def repeated(socket):
    """The same once more is answered by the same; another message by the same id is a new one."""
    first, = await socket.throw('[2,"twice","Authorize",{"idTag":"X"}]')
    again, = await socket.throw('[2,"twice","Authorize",{"idTag":"X"}]')
    other, = await socket.throw('[2,"twice","DataTransfer",{"vendorId":"v"}]')
    assert first == again and other[2] == {"status": "UnknownVendorId"}, (first, again, other)


async def too_exact(server, socket, name):
    """An answer to our own call with more digits than a limit may have."""
    asking = asyncio.create_task(asyncio.to_thread(server.api, "POST", f"/stations/{name}/commands", {
        "command": "getComposite", "evse": 1, "seconds": 60}))
    while (call := await socket.heard())[2:3] != ["GetCompositeSchedule"]:
        if call[0] == 2:
            await socket.socket.send(json.dumps([4, call[1], "NotImplemented", "", {}]))
    await socket.socket.send(json.dumps([3, call[1], {
        "status": "Accepted", "connectorId": 1, "scheduleStart": "2026-06-01T00:00:00Z", "chargingSchedule": {
            "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.55}]}}]))
    await asking


def refused(password, user):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def handshakes(server, name):
    """The key's digits as the password, another user, and no version at all."""
    server.api("PUT", f"/stations/{name}/access", {"password": "30" * 16, "anyUser": True, "overlapHours": 0})
    url, right = server.ws + name, refused("30" * 16, "somebody")
    async with websockets.connect(url, subprotocols=["ocpp1.6"], additional_headers=right) as socket:
        await socket.send(BOOT)
        assert json.loads(await socket.recv())[2]["status"] == "Accepted"
    async with websockets.connect(url, additional_headers=right) as socket:
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
    server.api("PUT", f"/stations/{name}/access", {"noSubprotocol": True})
    async with websockets.connect(url, additional_headers=right) as socket:
        assert socket.subprotocol is None
        await socket.send(BOOT)
        assert json.loads(await socket.recv())[2]["status"] == "Accepted"
    async with websockets.connect(
            server.ws + "yard//" + name.lower(), subprotocols=["ocpp1.6"], additional_headers=right):
        pass
    for offered in (["ocpp9.9"], ["ocpp9.9", "OCPP1.6"]):
        async with websockets.connect(url, subprotocols=offered, additional_headers=right) as socket:
            assert socket.subprotocol == (offered[1] if offered[1:] else None)
            if not offered[1:]:
                with pytest.raises(websockets.ConnectionClosed):
                    await socket.recv()


async def held_to_the_letter(server, name):
    """What is overlooked for others is refused, switches or not; by the book it comes in."""
    server.api("PUT", f"/stations/{name}/access", {
        "password": "30" * 16, "anyUser": True, "noSubprotocol": True, "overlapHours": 0})
    url, spoken = server.ws + name, {"subprotocols": ["ocpp1.6"]}
    right = {"additional_headers": refused("0" * 16, name)}
    for place, more, code in [
            (url, spoken | {"additional_headers": refused("30" * 16, name)}, 401),
            (url, spoken | {"additional_headers": refused("0" * 16, "somebody")}, 401),
            (server.ws + name.lower(), spoken | right, 404), (server.ws + "yard/" + name, spoken | right, 404)]:
        with pytest.raises(websockets.InvalidStatus) as refusal:
            await websockets.connect(place, **more)
        assert refusal.value.response.status_code == code, (place, more)
    async with websockets.connect(url, **right) as socket:
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
    async with websockets.connect(url, **spoken, **right) as socket:
        assert socket.subprotocol == "ocpp1.6"


def handshake(server, name, connection):
    """The first line of what a handshake with these headers is answered with."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as wire:
        wire.sendall((f"GET /ocpp/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n{connection}"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n").encode())
        return wire.recv(4096).split(b"\r\n")[0]


def test_options_of_a_connection_are_a_list_and_a_missing_one_is_told(server):
    for taken in ("Connection: keep-alive, Upgrade\r\n", "Connection: upgrade,Keep-Alive\r\n"):
        assert handshake(server, "OPTIONS", taken) == b"HTTP/1.1 101 Switching Protocols"
    for missing in ("Connection: keep-alive\r\n", ""):
        assert handshake(server, "NO-UPGRADE", missing) == b"HTTP/1.1 400 Bad Request"
    _, page = server.api("GET", "/refusals")
    assert {(one["station"], one["reason"], one["times"]) for one in page["items"] if one["station"] == "no-upgrade"} \
        == {("no-upgrade", "its Connection header does not say Upgrade", 2)}
    # It took no place in the registry.
    assert server.api("GET", "/stations/NO-UPGRADE")[0] == 404


async def too_early(server, name, is_strict):
    """A charge of one that is not taken in is kept, except where the station is held to the letter."""
    server.api("PUT", f"/stations/{name}", {"registration": "Pending"})
    server.api("PUT", f"/stations/{name}/access", {"strict": is_strict})
    async with websockets.connect(server.ws + name, subprotocols=["ocpp1.6"]) as socket:
        await socket.send(BOOT)
        assert json.loads(await socket.recv())[2]["status"] == "Pending"
        await socket.send(START % 1)
        answer = json.loads(await socket.recv())
        assert answer[2] == SECURITY if is_strict else answer[0] == 3, answer


def test_each_is_understood_and_counted_where_the_operator_sees_it(server):
    async def visit():
        socket = await connected(server, "LAX")
        wrong = await each(socket, is_strict=False)
        await repeated(socket)
        await too_exact(server, socket, "LAX")
        await socket.socket.close()
        await too_early(server, "LAX-EARLY", False)
        await handshakes(server, "LAX")
        return wrong

    assert asyncio.run(asyncio.wait_for(visit(), 60)) == {}
    # What comes too fast is another server's: see test_ocpp16_links.
    wanted = KINDS - {"too-many-messages"}
    assert counted(server, wanted, "LAX", "LAX-EARLY") == wanted


def test_each_is_refused_with_its_error_where_the_station_is_strict(server):
    async def visit():
        socket = await connected(server, "STRICT")
        code, _ = await asyncio.to_thread(server.api, "PUT", "/stations/STRICT/access", {"strict": True})
        assert code == 200
        wrong = await each(socket, is_strict=True)
        await repeated(socket)
        await too_exact(server, socket, "STRICT")
        await socket.socket.close()
        await too_early(server, "STRICT-EARLY", True)
        await held_to_the_letter(server, "STRICT")
        return wrong

    assert asyncio.run(asyncio.wait_for(visit(), 60)) == {}
    # What is refused is counted as well: it is what the certificate hangs on.
    # For a user that is not its id it gets no further than the switch.
    wanted = KINDS - {"too-many-messages", "user-not-station"}
    assert counted(server, wanted, "STRICT", "STRICT-EARLY") == wanted
