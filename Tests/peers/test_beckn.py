"""A driver's app in Python books at `kerb-cpo`: signatures, envelopes and sums are checked apart from ours."""
import concurrent.futures
import json
import threading
import time
import uuid
from decimal import Decimal

import pytest
from websockets.sync.client import connect

from beckn_app import App
from cpo_server import Server


class Station:
    """A charger that does what it is told: OCPP 1.6 by hand, one plug."""

    def __init__(self, server, name="PY-BECKN"):
        self.socket = connect(server.ws + name, subprotocols=["ocpp1.6"])
        self.answers, self.lock, self.number = {}, threading.Lock(), 0
        self.refuses = False
        self.register = 1000
        self.transaction = None
        threading.Thread(target=self.read, daemon=True).start()
        self.call("BootNotification", {"chargePointVendor": "Py", "chargePointModel": "One"})
        self.status("Available")

    def close(self):
        self.socket.close()

    def call(self, action, payload):
        with self.lock:
            self.number += 1
            message_id = str(self.number)
        done = self.answers[message_id] = concurrent.futures.Future()
        self.socket.send(json.dumps([2, message_id, action, payload]))
        return done.result(10)

    def status(self, status):
        self.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": status})

    def read(self):
        try:
            for text in self.socket:
                frame = json.loads(text)
                if frame[0] == 2:
                    self.obey(frame[1], frame[2], frame[3])
                elif frame[1] in self.answers:
                    self.answers.pop(frame[1]).set_result(frame[2])
        except Exception:  # The socket was closed under us: the test is over.
            pass

    def obey(self, message_id, action, payload):
        handlers = {"RemoteStartTransaction": self.begin, "RemoteStopTransaction": self.end}
        handler = handlers.get(action)
        accepted = handler is not None and not self.refuses
        self.socket.send(json.dumps([3, message_id, {"status": "Accepted" if accepted else "Rejected"}]))
        if accepted:
            threading.Thread(target=handler, args=(payload,), daemon=True).start()

    def begin(self, payload):
        self.status("Charging")
        answer = self.call("StartTransaction", {
            "connectorId": 1, "idTag": payload["idTag"], "meterStart": self.register,
            "timestamp": now()})
        self.transaction = answer["transactionId"]

    def meter(self, register):
        self.register = register
        self.call("MeterValues", {
            "connectorId": 1, "transactionId": self.transaction, "meterValue": [{
                "timestamp": now(), "sampledValue": [{"value": str(register), "unit": "Wh"}]}]})

    def end(self, _):
        self.call("StopTransaction", {
            "transactionId": self.transaction, "meterStop": self.register, "timestamp": now(),
            "reason": "Remote"})
        self.status("Finishing")
        self.status("Available")


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Site:
    """A demo server that knows the app, and a charger."""

    def __init__(self, folder):
        self.folder = folder / "demo"
        self.folder.mkdir()
        self.app = App().start()
        self.server = Server(self.folder)
        (self.folder / "beckn-registry.json").write_text(json.dumps([self.app.record]))
        self.server.start()
        records = json.loads((self.folder / "beckn-registry.json").read_text())
        self.app.bpp_key = next(r["signing_public_key"] for r in records if r["type"] == "BPP")
        self.app.url = self.server.http + "/beckn"
        self.station = Station(self.server)

    def close(self):
        self.station.close()
        self.server.stop()
        self.app.stop()

    def offer(self):
        """The item of our charger, out of a search by place and plug."""
        found = self.app.ask("search", {"intent": {"descriptor": {"name": "चार्जर ₹"}}}, str(uuid.uuid4()))
        items = [item for provider in found["message"]["catalog"]["providers"]
                 for item in provider["items"]]
        available = [item for item in items if any(
            tag["value"] == "Available" and tag["descriptor"]["code"] == "availability"
            for group in item["tags"] for tag in group["list"])]
        assert available, items
        return available[0]["id"]

    def book(self, transaction):
        """Up to the confirmed order; gives it."""
        item = self.offer()
        quoted = self.app.ask("select", {"order": {"items": [{
            "id": item, "quantity": {"selected": {"measure": {"value": "10", "unit": "kWh"}}}}]}},
            transaction)
        assert "error" not in quoted, quoted
        draft = self.app.ask("init", {"order": {
            "items": [{"id": item}], "billing": {"name": "आशा"}, "fulfillments": [{"id": "1"}]}}, transaction)
        payment = {**draft["message"]["order"]["payments"][0], "status": "PAID"}
        payment["params"] = {**payment["params"], "transaction_id": "utr-1"}
        confirmed = self.app.ask("confirm", {"order": {
            "items": [{"id": item}], "payments": [payment]}}, transaction)
        assert "error" not in confirmed, confirmed
        assert confirmed["message"]["order"]["status"] == "ACTIVE"
        return confirmed["message"]["order"]


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.close()


def update(code):
    return {"update_target": "order.fulfillments[0].state", "order": {
        "fulfillments": [{"id": "1", "state": {"descriptor": {"code": code}}}]}}


def test_a_charge_is_booked_delivered_billed_and_refunded(site):
    app, transaction = site.app, str(uuid.uuid4())
    order = site.book(transaction)
    paid = Decimal(order["payments"][0]["params"]["amount"])
    started = app.ask("update", update("start-charging"), transaction)
    assert state(started) == "charging-started"
    site.station.meter(1150)
    live = app.ask("status", {"order_id": order["id"]}, transaction)
    assert "0.15 kWh" in json.dumps(live)
    site.station.register = 1200
    ended = app.ask("update", update("end-charging"), transaction)
    final = ended["message"]["order"]
    assert final["status"] == "COMPLETE"
    assert "0.2 kWh" in json.dumps(final)
    total = Decimal(final["quote"]["price"]["value"])
    refund = Decimal(final["refund_terms"][0]["refund_amount"]["value"])
    assert total > 0 and total + refund == paid
    rated = app.ask("rating", {"ratings": [
        {"id": order["id"], "rating_category": "Order", "value": "5"}]}, transaction)
    assert "error" not in rated
    assert app.findings == []


def test_a_refused_start_is_refunded(site):
    transaction = str(uuid.uuid4())
    order = site.book(transaction)
    site.station.refuses = True
    refused = site.app.ask("update", update("start-charging"), transaction)
    assert refused["error"]["code"] == "40006"
    cancelled = site.app.next("on_cancel")["message"]["order"]
    assert cancelled["status"] == "CANCELLED"
    assert cancelled["refund_terms"][0]["refund_amount"]["value"] == order["quote"]["price"]["value"]


def test_the_same_confirm_twice_at_once_is_one_contract(site):
    app, transaction = site.app, str(uuid.uuid4())
    item = site.offer()
    app.ask("select", {"order": {"items": [{"id": item}]}}, transaction)
    draft = app.ask("init", {"order": {"items": [{"id": item}]}}, transaction)
    payment = {**draft["message"]["order"]["payments"][0], "status": "PAID"}
    message_id = str(uuid.uuid4())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: app.send(
            "confirm", {"order": {"payments": [payment]}}, transaction, message_id), range(8)))
    assert {status for status, _, _ in answers} == {200}
    app.next("on_confirm")
    with pytest.raises(AssertionError):
        app.next("on_confirm", seconds=1)


def test_an_acknowledged_request_is_answered_after_a_crash(site):
    app, transaction = site.app, str(uuid.uuid4())
    order = site.book(transaction)
    app.stop()
    status, _, message_id = app.send("status", {"order_id": order["id"]}, transaction)
    assert status == 200
    site.server.kill()
    app.start()
    site.server.start()
    answer = app.next(lambda m: m["context"]["message_id"] == message_id)
    assert answer["message"]["order"]["id"] == order["id"]


@pytest.mark.parametrize("damage", ["body", "expired", "future", "name", "nothing", "garbage"])
def test_nothing_is_believed_without_a_good_signature(site, damage):
    app = site.app
    body = json.dumps({"context": app.context("search", "t"), "message": {}}).encode()
    at = int(time.time())
    header = {
        "body": app.header(body + b" "), "expired": app.header(body, at - 600, at - 300),
        "future": app.header(body, at + 60, at + 360), "name": app.header(body, subscriber="someone.else"),
        "nothing": None, "garbage": "Signature keyId=",
    }[damage]
    status, answer = app.post("search", body, header)
    assert status == 401
    assert answer["message"]["ack"]["status"] == "NACK"


def test_a_callback_goes_nowhere_else(site):
    app = site.app
    for uri in ["http://127.0.0.1:1/", "http://example.org/", f"http://127.0.0.1:{app.port}@example.org/"]:
        context = {**app.context("search", "t"), "bap_uri": uri}
        body = json.dumps({"context": context, "message": {}}).encode()
        status, answer = app.post("search", body, app.header(body))
        assert status == 400 and answer["error"]["paths"] == "$.context.bap_uri", answer


def state(message):
    return message["message"]["order"]["fulfillments"][0]["state"]["descriptor"]["code"]
