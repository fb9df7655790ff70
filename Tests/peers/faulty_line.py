"""A station's way to a central system that loses answers, sockets and the end of frames.

The station behaves as OCPP 1.6 asks: it repeats a message until it is answered with a result, over as many sockets
as it takes. Frames are PyPI `ocpp`'s, and each payload is held against the official schemas.
"""
import asyncio
import contextlib
import json
import random
import uuid

import websockets
from ocpp.messages import Call, CallResult, validate_payload

# What may happen to a message on its way, and how often of a hundred.
FAULTS = {
    "cut": 3,        # the socket is gone before it was sent
    "torn": 3,       # half of the frame arrives, and no more ever
    "lost ack": 7,   # it arrives, and the socket is cut before the answer
    "half-open": 5,  # it arrives, the answer stays in the old socket, which nobody closes
    "twice": 4,      # the same frame two times in a row
    "again": 4,      # after its answer once more, with another id
}
TRIES_WITH_FAULTS = 3
# Their answers tell the time.
TIMED = ("BootNotification", "Heartbeat")
NAP = 0.05  # seconds before the next try
ANSWER = 60  # seconds for one answer, whatever happens
SECONDS_TO_CLOSE = 30


class Line:
    """`tell` gives the answer; `counts` says which faults there were."""

    def __init__(self, url, chance, counts, faults=FAULTS):
        self.url, self.chance, self.counts, self.faults = url, chance, counts, faults
        self.socket = None
        self.old = []
        self.refused = 0
        # What was sent, what happened to it, and what came back.
        self.log = []

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def fault(self, number):
        if number >= TRIES_WITH_FAULTS:
            return None
        draw = self.chance.randrange(100)
        for name, share in self.faults.items():
            draw -= share
            if draw < 0:
                return name
        return None

    async def open(self):
        while self.socket is None:
            try:
                self.socket = await websockets.connect(
                    self.url, subprotocols=["ocpp1.6"], ping_interval=None, compression=None, open_timeout=ANSWER,
                    close_timeout=1)
            except (OSError, EOFError, websockets.InvalidHandshake, websockets.ConnectionClosed, TimeoutError):
                await asyncio.sleep(NAP)

    def cut(self):
        """No farewell: the peer hears of it by the network alone."""
        if self.socket:
            self.socket.transport.abort()
        self.socket = None

    def leave_open(self):
        """Nobody reads or closes it any more; the far end cannot know."""
        with contextlib.suppress(RuntimeError):
            self.socket.transport.pause_reading()
        self.old.append(self.socket)
        self.socket = None

    async def tell(self, action, payload):
        number, tries = str(uuid.uuid4()), 0
        while True:
            call = Call(number, action, payload)
            await validate_payload(call, "1.6")
            fault = self.fault(tries)
            tries += 1
            try:
                await self.open()
                if fault:
                    self.count(fault)
                self.log.append([action, payload, number, fault])
                answer = await self.attempt(call, fault)
                self.log[-1].append(answer)
                if answer is not None:
                    return answer
            except (websockets.ConnectionClosed, OSError):
                self.socket = None
            # A station that restarts gives it a new id, one that does not keeps the old.
            if self.chance.random() < 0.5:
                number = str(uuid.uuid4())
            if fault is None:
                await asyncio.sleep(NAP)

    async def attempt(self, call, fault):
        """The answer, or None where there is none to be had on this socket."""
        text = call.to_json()
        if fault == "cut":
            self.cut()
            return None
        if fault == "torn":
            # One that the far end has closed meanwhile takes nothing any more.
            with contextlib.suppress(RuntimeError):
                self.socket.transport.write(masked(text)[:self.chance.randrange(1, len(text))])
            await asyncio.sleep(self.chance.random() * 0.002)
            self.cut()
            return None
        await self.socket.send(text)
        if fault == "lost ack":
            # Before the far end looks, while it works, or with the answer in the socket.
            await asyncio.sleep(self.chance.choice((0, self.chance.random() * 0.01)))
            self.cut()
            return None
        if fault == "half-open":
            self.leave_open()
            return None
        if fault == "twice":
            await self.socket.send(text)
        answer = await self.answer(call)
        if fault == "twice" and answer is not None:
            repeated = await self.answer(call)
            assert repeated is None or call.action in TIMED or repeated == answer, (call, answer, repeated)
        if fault == "again" and answer is not None:
            once_more = Call(str(uuid.uuid4()), call.action, call.payload)
            await self.socket.send(once_more.to_json())
            repeated = await self.answer(once_more)
            assert repeated is None or call.action in TIMED or repeated == answer, (call, answer, repeated)
        return answer

    async def answer(self, call):
        """What a call is answered with; None for an error of the far end's own, after which it is to be repeated."""
        while True:
            text = await asyncio.wait_for(self.socket.recv(), ANSWER)
            frame = json.loads(text)
            if frame[0] == 2:
                await self.socket.send(json.dumps([4, frame[1], "NotSupported", "", {}]))
                continue
            assert frame[1] == call.unique_id, (text, call)
            if frame[0] == 3:
                await validate_payload(CallResult(frame[1], frame[2], call.action), "1.6")
                return frame[2]
            assert frame[2] == "InternalError", (text, call)
            self.refused += 1
            return None

    async def close(self):
        """Also of the sockets that were left: whoever took over from them closed them long ago."""
        for socket in self.old:
            with contextlib.suppress(RuntimeError):
                socket.transport.resume_reading()
            await asyncio.wait_for(socket.wait_closed(), SECONDS_TO_CLOSE)
        if self.socket:
            await self.socket.close()


def masked(text):
    """A whole text frame as a client sends it."""
    body, mask = text.encode(), bytes(random.randrange(256) for _ in range(4))
    head = bytes([0x81, 0x80 | len(body)]) if len(body) < 126 else bytes([0x81, 0xFE, *len(body).to_bytes(2, "big")])
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))
