"""A charger for the console's test: PyPI `ocpp` in a thread of its own, with a car always plugged in."""
import asyncio
import datetime
import threading

import websockets
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.datatypes import MeterValue, SampledValue
from ocpp.v16.enums import Measurand, RegistrationStatus, RemoteStartStopStatus, UnitOfMeasure

POWER_WATTS = 7200
# Why no energy flows although nothing is wrong.
REASON = "<b>door contact not read</b>"


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


class Charger(ChargePoint):
    def __init__(self, name, socket):
        super().__init__(name, socket, response_timeout=20)
        self.register = 41_000
        self.transaction = None

    async def boot(self, info):
        answer = await self.call(call.BootNotification("Console", "Tester"))
        assert answer.status == RegistrationStatus.accepted
        await self.status(0, "Available")
        await self.status(1, "Available", REASON)
        await self.call(call.StatusNotification(2, "OtherError", "Faulted", info=info, timestamp=now()))

    async def status(self, connector, status, info=None):
        await self.call(call.StatusNotification(connector, "NoError", status, info=info, timestamp=now()))

    @on("RemoteStartTransaction")
    def remote_start(self, id_tag, connector_id=None, **_):
        return call_result.RemoteStartTransaction(RemoteStartStopStatus.accepted)

    @after("RemoteStartTransaction")
    async def begin(self, id_tag, connector_id=None, **_):
        await self.status(1, "Preparing")
        answer = await self.call(call.StartTransaction(1, id_tag, self.register, now()))
        self.transaction = answer.transaction_id
        await self.status(1, "Charging")
        self.register += 1234
        await self.call(call.MeterValues(1, transaction_id=self.transaction, meter_value=[MeterValue(
            timestamp=now(), sampled_value=[
                SampledValue(str(self.register), measurand=Measurand.energy_active_import_register,
                             unit=UnitOfMeasure.wh),
                SampledValue(str(POWER_WATTS), measurand=Measurand.power_active_import,
                             unit=UnitOfMeasure.w),
            ])]))

    @on("GetDiagnostics")
    def diagnostics(self, location, **_):
        return call_result.GetDiagnostics()

    @on("UpdateFirmware")
    def update(self, location, retrieve_date, **_):
        return call_result.UpdateFirmware()

    @on("RemoteStopTransaction")
    def remote_stop(self, transaction_id):
        return call_result.RemoteStopTransaction(RemoteStartStopStatus.accepted)

    @after("RemoteStopTransaction")
    async def end(self, transaction_id):
        self.register += 100
        await self.call(call.StopTransaction(self.register, now(), transaction_id, reason="Remote"))
        await self.status(1, "Finishing")


class ChargerThread:
    """Connects in `__enter__` and is ready when that returns."""

    def __init__(self, url, name, info):
        self.url, self.name, self.info = url + name, name, info
        self.ready = threading.Event()
        self.problem = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.task = self.loop.create_task(self._charge())
        try:
            self.loop.run_until_complete(self.task)
        except asyncio.CancelledError:
            pass
        except Exception as problem:  # told to the test by __enter__
            self.problem = problem
        self.ready.set()

    async def _charge(self):
        async with websockets.connect(self.url, subprotocols=["ocpp1.6"]) as socket:
            charger = Charger(self.name, socket)
            reader = asyncio.ensure_future(charger.start())
            await charger.boot(self.info)
            self.ready.set()
            await reader

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(30), "the charger did not boot"
        if self.problem:
            raise self.problem
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.task.cancel)
        self.thread.join(10)
