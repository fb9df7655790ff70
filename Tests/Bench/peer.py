"""The peer: a central system on PyPI's `ocpp` and `websockets`, as their documentation writes one.

It checks every message against the schemas, as the package does by default, and stores nothing.
    peer.py PORT
"""

import asyncio
import logging
import sys
from datetime import datetime, timezone

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import AuthorizationStatus, RegistrationStatus


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Station(ChargePoint):
    @on("BootNotification")
    def boot(self, **_):
        return call_result.BootNotification(
            current_time=now(), interval=300, status=RegistrationStatus.accepted
        )

    @on("Heartbeat")
    def heartbeat(self):
        return call_result.Heartbeat(current_time=now())

    @on("StartTransaction")
    def start_transaction(self, **_):
        return call_result.StartTransaction(
            transaction_id=1, id_tag_info={"status": AuthorizationStatus.accepted}
        )

    @on("StatusNotification")
    def status(self, **_):
        return call_result.StatusNotification()

    @on("MeterValues")
    def meter_values(self, **_):
        return call_result.MeterValues()


async def connected(socket):
    try:
        await Station(socket.request.path.rsplit("/", 1)[-1], socket).start()
    except websockets.ConnectionClosed:
        pass


async def main():
    logging.disable(logging.CRITICAL)
    async with websockets.serve(
        connected, "127.0.0.1", int(sys.argv[1]), subprotocols=["ocpp1.6"], compression=None
    ) as server:
        print("ready", flush=True)
        await server.wait_closed()


asyncio.run(main())
