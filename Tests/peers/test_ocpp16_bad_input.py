"""What no station should send: the right error with 1.6's spelling, a socket that stays open, memory that stays flat."""
import asyncio
import json

import pytest
import websockets
from ocpp.v16 import call

import test_ocpp16_station
from cpo_server import ConfiguredServer
from oca_station import stamp
from storm import client_frame, greeting, resident_megabytes

BOOT = '[2,"b","BootNotification",{"chargePointModel":"m","chargePointVendor":"v"}]'
START = '[2,"1","StartTransaction",{"connectorId":1,"idTag":"x","meterStart":%s,"timestamp":"2026-06-01T00:00:00Z"}]'
STATUS = '[2,"1","StatusNotification",{"connectorId":%s,"errorCode":"NoError","status":"Available"}]'
VALUE = '[2,"1","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-06-01T00:00:00Z","sampledValue":[%s]}]}]'
DATA = '[2,"1","DataTransfer",{"vendorId":"v","data":%s}]'
# The most that a message may have.
MEBIBYTE = 1 << 20


def tag(text):
    return b'[2,"1","Authorize",{"idTag":"' + text + b'"}]'


# By what it is: the frame, and the error of 1.6 it must get. True: a result; None: silence. Then the socket serves.
BAD = {
    "malformed": {
        "end missing": ('[2,"1","Authorize",{"idTag":"x"', "FormationViolation"),
        "value missing": ('[2,"1","Authorize",{"idTag":}]', "FormationViolation"),
        "colon missing": ('[2,"1","Authorize",{"idTag" "x"}]', "FormationViolation"),
        "comma too many": ('[2,"1","Authorize",{"idTag":"x",}]', "FormationViolation"),
        "escape of nothing": (r'[2,"1","Authorize",{"idTag":"\x41"}]', "FormationViolation"),
        "half a surrogate": (r'[2,"1","Authorize",{"idTag":"\ud800"}]', "FormationViolation"),
        "control character": ('[2,"1","Authorize",{"idTag":"a\x01b"}]', "FormationViolation"),
        "no JSON": ("hello", None), "nothing": ("", None), "cut off": ("[2,", None), "no list": ('{"2":"1"}', None),
    },
    "arity": {
        "type alone": ("[2]", None), "no action": ('[2,"1"]', "FormationViolation"),
        "no payload": ('[2,"1","Authorize"]', "ProtocolError"),
        "none is needed": ('[2,"1","Heartbeat"]', True),
        "two payloads": ('[2,"1","Heartbeat",{},{}]', "FormationViolation"),
        "a list for it": ('[2,"1","Heartbeat",["a"]]', "FormationViolation"),
    },
    "message type": {
        "in quotes": ('["2","1","Heartbeat",{}]', None), "negative": ('[-2,"1","Heartbeat",{}]', None),
        "of another version": ('[5,"1","Heartbeat",{}]', None),
        "of 400 digits": (f'[{"9" * 400},"1","Heartbeat",{{}}]', None),
        "an answer nobody waits for": ('[3,"nobody",{}]', None),
        "an error nobody waits for": ('[4,"nobody","InternalError","",{}]', None),
    },
    "action": {
        "unknown": ('[2,"1","MakeCoffee",{}]', "NotImplemented"),
        "in another case": ('[2,"1","heartbeat",{}]', "NotImplemented"),
        "of 5,000 letters": (f'[2,"1","{"A" * 5000}",{{}}]', "NotImplemented"),
        "no text": ('[2,"1",5,{}]', "FormationViolation"),
        "a station's": ('[2,"1","Reset",{"type":"Hard"}]', "NotSupported"),
    },
    "message id": {
        "a number": ('[2,17,"Heartbeat",{}]', True), "negative": ('[2,-1,"Heartbeat",{}]', True),
        "a number as it was written": ('[2,1.50e3,"Heartbeat",{}]', True),
        "a number in an error": ('[2,18,"MakeCoffee",{}]', "NotImplemented"),
        "of 255 letters": (f'[2,"{"i" * 255}","Heartbeat",{{}}]', True),
        "of 256 letters": (f'[2,"{"i" * 256}","Heartbeat",{{}}]', None),
        "of 300 digits": (f'[2,{"9" * 300},"Heartbeat",{{}}]', None),
        "null": ('[2,null,"Heartbeat",{}]', None), "an object": ('[2,{},"Heartbeat",{}]', None),
        "empty": ('[2,"","Heartbeat",{}]', True),
    },
    "number": {
        "NaN": (START % "NaN", "FormationViolation"), "infinite": (START % "-Infinity", "FormationViolation"),
        "NaN in quotes": (START % '"NaN"', "TypeConstraintViolation"),
        "NaN as a sample": (VALUE % '{"value":"NaN"}', True),
        "a bare NaN as a sample": (VALUE % '{"value":NaN}', "FormationViolation"),
        "of 40 digits": (START % ("9" * 40), "TypeConstraintViolation"),
        "of 4,000 digits": (START % ("9" * 4000), "FormationViolation"),
        "connector of 40 digits": (STATUS % ("9" * 40), "TypeConstraintViolation"),
        "exponent of 999": (STATUS % "1e999", "TypeConstraintViolation"),
        "2 to the 63rd": (START % (1 << 63), "TypeConstraintViolation"),
        "minus 2 to the 64th": (START % -(1 << 64), "TypeConstraintViolation"),
        "a sample of 4,000 digits": (VALUE % f'{{"value":"{"9" * 4000}"}}', True),
    },
    "depth and size": {
        "20 deep": (DATA % ("[" * 20 + "]" * 20), True),
        "40 deep": (DATA % ("[" * 40 + "]" * 40), "FormationViolation"),
        "1,000 deep in another field": ('[2,"1","Heartbeat",{"x":' + "[" * 1000 + "]" * 1000 + "}]", "FormationViolation"),
        "1,000 objects deep": ('[2,"1","Heartbeat",' + '{"a":' * 1000 + "1" + "}" * 1000 + "]", "FormationViolation"),
        "100,000 deep": ("[" * 100_000 + "]" * 100_000, None), "200,000 left open": ("[" * 200_000, None),
        "50,000 fields": ('[2,"1","Heartbeat",{' + ",".join(f'"{n}":1' for n in range(50_000)) + "}]", "FormationViolation"),
        "9,000 readings": (VALUE % ",".join(['{"value":"1"}'] * 9000), True),
        "a text of 900 kB": (DATA % f'"{"a" * 900_000}"', True),
    },
    "UTF-8": {
        "bytes of none": (tag(b"\xff\xfe"), "FormationViolation"), "too long": (tag(b"\xc0\xaf"), "FormationViolation"),
        "a surrogate": (tag(b"\xed\xa0\x80"), "FormationViolation"), "cut off": (tag(b"\xe2\x82"), "FormationViolation"),
        "beyond the last": (tag(b"\xf5\x80\x80\x80"), "FormationViolation"),
        "in the id": (b'[2,"\xff","Heartbeat",{}]', None), "before all": (b'\xff\xfe[2,"1","Heartbeat",{}]', None),
    },
}
FLAT_FRAMES, WARM_FRAMES, BATCH, MOST_GROWTH_MEGABYTES = 10_000, 4_000, 8, 16


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ConfiguredServer(tmp_path_factory.mktemp("bad") / "data") as server:
        yield server


class Socket:
    """Counts what it asked, so that silence can be told from a late answer."""

    def __init__(self, socket):
        self.socket, self.number = socket, 0

    async def heard(self):
        return json.loads(await asyncio.wait_for(self.socket.recv(), 20))

    async def throw(self, frame, as_text=True):
        """What came back before the answer to a Heartbeat sent right behind."""
        await self.socket.send(frame, text=as_text)
        self.number += 1
        await self.socket.send(f'[2,"probe{self.number}","Heartbeat",{{}}]')
        answers = []
        while (answer := await self.heard())[1] != f"probe{self.number}":
            answers.append(answer)
        assert answer[0] == 3
        return answers


async def connected(server, name):
    socket = Socket(await websockets.connect(
        server.ws + name, subprotocols=["ocpp1.6"], compression=None, max_size=None, ping_interval=None))
    await socket.socket.send(BOOT)
    assert (await socket.heard())[2]["status"] == "Accepted"
    return socket


def message_id(frame):
    """As it was sent, in the same JSON type."""
    text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
    return json.loads(text.split(",", 2)[1].rstrip("]"))


def is_right(frame, wanted, answers):
    if wanted is None:
        return answers == []
    (answer,) = answers
    if answer[1] != message_id(frame):
        return False
    if wanted is True:
        return answer[0] == 3
    return answer[0] == 4 and answer[2] == wanted and answer[4] == {} and len(answer[3]) <= 255


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_gets_its_error_and_the_socket_stays_open(server, kind):
    async def visit():
        socket = await connected(server, "BAD-" + kind.replace(" ", "-"))
        for name, (frame, wanted) in BAD[kind].items():
            for as_text in (True, False):
                answers = await socket.throw(frame, as_text)
                assert is_right(frame, wanted, answers), (kind, name, as_text, answers)
        await socket.socket.close()
    asyncio.run(asyncio.wait_for(visit(), 60))


def test_a_frame_beyond_a_mebibyte_closes_with_1009_and_the_next_socket_serves(server):
    async def visit():
        socket = await connected(server, "BAD-SIZE")
        with pytest.raises(websockets.ConnectionClosed):
            await socket.throw(DATA % f'"{"a" * MEBIBYTE}"')
        assert socket.socket.close_code == 1009
        socket = await connected(server, "BAD-SIZE")
        assert await socket.throw('[2,"1","Heartbeat",{}]')
        await socket.socket.close()
    asyncio.run(asyncio.wait_for(visit(), 60))


def test_ten_unreadable_frames_in_a_row_close_the_socket_and_the_next_one_serves(server):
    async def visit():
        socket = await connected(server, "BAD-ROW")
        for _ in range(10):
            await socket.socket.send("hello")
        with pytest.raises(websockets.ConnectionClosed):
            await socket.heard()
        assert socket.socket.close_code == 1002
        socket = await connected(server, "BAD-ROW")
        assert await socket.throw('[2,"1","Heartbeat",{}]')
        await socket.socket.close()
    asyncio.run(asyncio.wait_for(visit(), 60))


def test_another_stations_transaction_is_not_touched_and_what_came_waits_for_a_person(server):
    card = {"type": "RFID", "contract_id": "C", "issuer": "Test", "valid": True, "whitelist": "ALWAYS"}

    async def ask(path):
        status, found = await asyncio.to_thread(server.api, "GET", path)
        assert status == 200, found
        return found

    async def charge(station):
        await station.boot()
        started = await station.call(call.StartTransaction(
            connector_id=1, id_tag="FOREIGN-CARD", meter_start=1000, timestamp=stamp(-600)))
        assert started.id_tag_info["status"] == "Accepted"
        return started.transaction_id

    async def told(station, transaction, register, at):
        """A reading and a stop, with an answer each."""
        await station.call(call.MeterValues(connector_id=1, transaction_id=transaction, meter_value=[
            {"timestamp": stamp(at), "sampledValue": [{"value": str(register)}]}]), suppress=False)
        await station.call(call.StopTransaction(
            transaction_id=transaction, meter_stop=register, timestamp=stamp(at), id_tag="FOREIGN-CARD",
            reason="Local"), suppress=False)

    async def session(station):
        (one,) = (await ask(f"/sessions?station={station}"))["items"]
        return await ask(f"/sessions/{one['id']}")

    async def visit():
        assert (await asyncio.to_thread(server.api, "PUT", "/tokens/FOREIGN-CARD", card))[0] == 200
        async with (test_ocpp16_station.connected(server, "BAD-OWNER") as owner,
                    test_ocpp16_station.connected(server, "BAD-OTHER") as other):
            theirs, own = await charge(owner), await charge(other)
            before = [await session("BAD-OWNER"), await session("BAD-OTHER")]
            assert [one["status"] for one in before] == ["ACTIVE", "ACTIVE"]
            await told(other, theirs, 9000, -60)
            assert [await session("BAD-OWNER"), await session("BAD-OTHER")] == before
            # Each ends as if nothing had been said.
            await told(owner, theirs, 1500, -30)
            await told(other, own, 1700, -30)
            for station, energy in (("BAD-OWNER", 500), ("BAD-OTHER", 700)):
                ended = await session(station)
                assert (ended["status"], ended["energyWh"]) == ("COMPLETED", energy)
            found = [one for one in (await ask("/suspicions?limit=500"))["items"]
                     if one["station"] in ("BAD-OWNER", "BAD-OTHER")]
            assert {(one["station"], one["code"]) for one in found} == {
                ("BAD-OTHER", "stopOfUnknownTransaction"), ("BAD-OTHER", "meterValuesOfUnknownTransaction")}
            assert all(f"transaction {theirs}" in one["detail"] and one["parkedCount"] == 1 for one in found), found
    asyncio.run(asyncio.wait_for(visit(), 60))


class Flood:
    """Bad frames as fast as they are taken; what comes back is only counted, so that this side costs little."""

    frames = [frame if isinstance(frame, bytes) else frame.encode()
              for kind in BAD.values() for frame, _ in kind.values() if len(frame) < 20_000]

    def __init__(self, server, name):
        self.port, self.name, self.sent = server.port, name, 0

    def batch(self):
        """Seven bad ones with names of their own, and a call that ends a row of unreadable ones before its tenth."""
        parts = []
        for _ in range(BATCH - 1):
            frame = self.frames[self.sent % len(self.frames)]
            number = str(self.sent).encode()
            self.sent += 1
            frame = frame.replace(b"MakeCoffee", b"Make" + number).replace(b'"1"', b'"%s"' % number, 1)
            parts.append(client_frame(1, frame))
        self.sent += 1
        parts.append(client_frame(1, b'[2,"end%d","Heartbeat",{"%d":1}]' % (self.sent, self.sent)))
        return b"".join(parts), b'[3,"end%d",' % self.sent

    async def run(self, count):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(greeting(self.name) + client_frame(1, BOOT.encode()))
        await asyncio.wait_for(reader.readuntil(b"Accepted"), 20)
        for _ in range(0, count, BATCH):
            text, end = self.batch()
            writer.write(text)
            await asyncio.wait_for(reader.readuntil(end), 20)
        writer.close()


def test_memory_stays_flat_over_ten_thousand_bad_frames(server):
    """Of every kind but the largest, over four stations, each time with new names and ids."""
    async def visit():
        floods = [Flood(server, f"FLOOD-{number}") for number in range(4)]
        await asyncio.gather(*(flood.run(WARM_FRAMES // 4) for flood in floods))
        before = resident_megabytes(server.process)
        await asyncio.gather(*(flood.run(FLAT_FRAMES // 4) for flood in floods))
        return before, resident_megabytes(server.process)

    before, after = asyncio.run(asyncio.wait_for(visit(), 240))
    print(f"resident: {before} MiB after {WARM_FRAMES} bad frames, {after} MiB after {FLAT_FRAMES} more")
    assert after - before < MOST_GROWTH_MEGABYTES, (before, after)
