"""PyPI `ocpp` as a station of `kerb-cpo` over TLS: each action of 1.6 and of its security extension, both ways, held
against the library's own list of them. The last thing it asks for is a certificate, with which it comes back.
"""
import asyncio
import base64
import contextlib
import datetime
import importlib.resources
import ssl

import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ocpp.charge_point import camel_to_snake_case
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result

from enrolment_site import until
from oca_station import stamp
from ocpp_schemas import Capture
from test_ocpp16_commands import COMMANDS, FROM_STATION, NEUTRAL
from test_ocpp16_station import Wire, run
from test_upkeep_authority import Operator

PASSWORD, CARD = "every-action-16", "EVERY-CARD"
TOKEN = {"type": "RFID", "contract_id": CARD, "issuer": "Test", "valid": True, "whitelist": "ALWAYS"}
# Every action that the library has; which way each goes, it does not say.
ACTIONS = {path.name.removesuffix(".json")
           for path in importlib.resources.files("ocpp").joinpath("v16/schemas").iterdir()
           if path.name.endswith(".json") and not path.name.endswith("Response.json")}


class Station(ChargePoint):
    """Obeys, answers as the table of `test_ocpp16_commands` says, and remembers both ways."""

    def __init__(self, name, wire):
        super().__init__(name, wire, response_timeout=20)
        self.orders = asyncio.Queue()
        self.heard, self.said = set(), set()

    async def say(self, message):
        """What it is answered with; an error is raised."""
        answer = await self.call(message, suppress=False)
        self.said.add(type(message).__name__)
        return answer

    async def order(self):
        return await asyncio.wait_for(self.orders.get(), 20)


def obey(action, answer):
    def handler(self, **payload):
        self.heard.add(action)
        self.orders.put_nowait((action, payload))
        return getattr(call_result, action)(**camel_to_snake_case(answer))

    # The library finds handlers by their functions' names.
    handler.__name__ = f"on_{action}"
    setattr(Station, handler.__name__, on(action)(handler))


for _action, (_, _answer) in COMMANDS.items():
    obey(_action, _answer)


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    operator = Operator(tmp_path_factory.mktemp("every"))
    made = operator.cpo("authority", "make")
    assert made.returncode == 0, made.stderr
    operator.key = operator.cpo("key", "add", "test", "--role", "admin").stdout.split()[-1]
    operator.start()
    assert operator.call("PUT", f"/tokens/{CARD}", TOKEN)[0] == 200
    yield operator
    operator.stop()


@contextlib.asynccontextmanager
async def connected(operator, name, files=None):
    """At profile 2, or at 3 with a certificate and its key."""
    context = ssl.create_default_context(cafile=str(operator.authority.ca))
    headers = {"Authorization": "Basic " + base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()}
    if files:
        context.load_cert_chain(*map(str, files))
        headers = {}
    capture = Capture()
    async with websockets.connect(
            f"wss://127.0.0.1:{operator.port}/ocpp/{name}", ssl=context, subprotocols=["ocpp1.6"],
            additional_headers=headers) as socket:
        station = Station(name, Wire(socket, capture))
        serving = asyncio.create_task(station.start())
        try:
            boot = await station.say(call.BootNotification(charge_point_model="M", charge_point_vendor="V"))
            assert boot.status == "Accepted"
            yield station
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            assert capture.check() > 0


def check(leaf, root):
    """A station's certificate straight from its authority, good now. The library's whole verifier is for names of
    web servers, of which this one has none."""
    for certificate, is_authority in ((leaf, False), (root, True)):
        certificate.verify_directly_issued_by(root)
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca == is_authority
    now = datetime.datetime.now(datetime.timezone.utc)
    assert leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc <= root.not_valid_after_utc
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.ExtendedKeyUsageOID.CLIENT_AUTH in purposes


async def say_everything(station):
    """All but the boot, which it began with, and the request for a certificate."""
    await idle(station, 0, 1)
    beat = await station.say(call.Heartbeat())
    now = datetime.datetime.now(datetime.timezone.utc)
    assert abs((datetime.datetime.fromisoformat(beat.current_time) - now).total_seconds()) < 60
    allowed = await station.say(call.Authorize(id_tag=CARD))
    assert allowed.id_tag_info["status"] == "Accepted"
    transaction = await charge(station)
    stopped = await station.say(call.StopTransaction(
        transaction_id=transaction, meter_stop=1500, timestamp=stamp(), reason="Local", id_tag=CARD))
    assert stopped.id_tag_info["status"] == "Accepted"
    data = await station.say(call.DataTransfer(vendor_id="org.nobody"))
    assert data.status == "UnknownVendorId"
    for message in (
            call.MeterValues(connector_id=1, transaction_id=transaction, meter_value=[
                {"timestamp": stamp(-30), "sampledValue": [{"value": "1200"}]}]),
            call.FirmwareStatusNotification(status="Idle"), call.DiagnosticsStatusNotification(status="Idle"),
            call.SignedFirmwareStatusNotification(status="Installed", request_id=1),
            call.LogStatusNotification(status="Uploaded", request_id=1),
            call.SecurityEventNotification(type="FirmwareUpdated", timestamp=stamp(), tech_info="2.0")):
        assert await station.say(message) == getattr(call_result, type(message).__name__)()


async def idle(station, *connectors):
    for connector in connectors:
        assert await station.say(call.StatusNotification(
            connector_id=connector, error_code="NoError", status="Available", timestamp=stamp())
        ) == call_result.StatusNotification()


async def charge(station):
    """A charge that has begun; its transaction."""
    started = await station.say(call.StartTransaction(
        connector_id=1, id_tag=CARD, meter_start=1000, timestamp=stamp(-60)))
    assert started.id_tag_info["status"] == "Accepted" and started.transaction_id > 0
    return started.transaction_id


def provision(operator, name):
    assert operator.call("PUT", f"/stations/{name}", {"registration": "Accepted", "password": PASSWORD})[0] == 200


def test_the_library_has_a_class_for_each_of_its_schemas():
    assert ACTIONS == {one.__name__ for one in vars(call).values()
                       if isinstance(one, type) and one.__module__ == call.__name__}
    assert len(ACTIONS) == 39 and FROM_STATION <= ACTIONS


def test_every_action_goes_to_a_station(operator):
    provision(operator, "EVERY-1")

    async def told(station, body, action, payload, state):
        """What the API answered, once the station heard it as it must be."""
        if action == "RemoteStartTransaction":
            # Nobody registered a card here.
            body = {**body, "unknownToken": True}
        made = await asyncio.to_thread(operator.order, body, "EVERY-1")
        if action == "ReserveNow":
            payload = {**payload, "reservationId": made["reservation"]}
        assert made["state"] == state, (action, made)
        assert await station.order() == (action, camel_to_snake_case(payload))
        return made

    async def visit():
        async with connected(operator, "EVERY-1") as station:
            await idle(station, 0, 1)
            for action, (body, payload, state) in NEUTRAL.items():
                made = await told(station, body, action, payload, state)
                if action == "ReserveNow":
                    number = made["reservation"]
            await told(station, {"command": "cancelReservation", "reservation": number}, "CancelReservation",
                       {"reservationId": number}, "seen")
            transaction = await charge(station)
            _, sessions = await asyncio.to_thread(operator.call, "GET", "/sessions?station=EVERY-1")
            await told(station, {"command": "stop", "session": sessions["items"][0]["id"]}, "RemoteStopTransaction",
                       {"transactionId": transaction}, "accepted")
            assert station.heard == ACTIONS - FROM_STATION and len(station.heard) == 26
    run(visit())


def test_a_station_says_every_action_and_comes_back_with_its_certificate(operator, tmp_path):
    name = "EVERY-2"
    provision(operator, name)
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Test"),
        x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])).sign(key, hashes.SHA256())

    async def ask(*words):
        status, found = await asyncio.to_thread(operator.call, *words)
        assert status == 200, found
        return found

    async def certified(station):
        """Asks for a certificate; the one that came, in a chain that was checked."""
        answer = await station.say(call.SignCertificate(csr=csr.public_bytes(serialization.Encoding.PEM).decode()))
        assert answer.status == "Accepted"
        root = (operator.folder / "authority" / "authority.pem").read_text()
        assert await station.order() == ("InstallCertificate", {
            "certificate_type": "CentralSystemRootCertificate", "certificate": root})
        action, payload = await station.order()
        assert action == "CertificateSigned"
        leaf, above = x509.load_pem_x509_certificates(payload["certificate_chain"].encode())
        assert above == x509.load_pem_x509_certificate(root.encode())
        check(leaf, above)
        assert set(leaf.subject) == set(csr.subject) and leaf.public_key() == key.public_key()
        # The server knows that the station took it.
        await asyncio.to_thread(until, lambda: any(
            (one["command"], one["state"]) == ("certificateSigned", "seen")
            for one in operator.call("GET", f"/commands?station={name}")[1]["items"]))
        files = tmp_path / "chain.pem", tmp_path / "key.pem"
        files[0].write_text(payload["certificate_chain"])
        files[1].write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return leaf, files

    async def visit():
        async with connected(operator, name) as station:
            await say_everything(station)
            (session,) = (await ask("GET", f"/sessions?station={name}"))["items"]
            assert (session["status"], session["energyWh"]) == ("COMPLETED", 500)
            leaf, files = await certified(station)
            assert station.said == FROM_STATION | {"DataTransfer"} and len(station.said) == 14
            raised = await asyncio.to_thread(
                operator.order, {"command": "changeSetting", "key": "SecurityProfile", "value": "3"}, name)
            assert raised["state"] == "seen"
        async with connected(operator, name, files):
            (used,) = await asyncio.to_thread(operator.used, name)
            assert used["fingerprint"] == leaf.fingerprint(hashes.SHA256()).hex()
            access = (await ask("GET", f"/stations/{name}"))["access"]
            assert access["securityProfile"] == 3 and "oldProfileUntil" not in access
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with connected(operator, name):
                pass
        assert refused.value.response.status_code == 403
    run(visit())
