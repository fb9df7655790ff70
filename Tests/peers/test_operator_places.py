"""An operator ties a charger's plugs to a place and a price with the README's example bodies; a charge there, by a
station of PyPI `ocpp`, costs what the example says."""
import asyncio
import copy
import datetime
import json
import pathlib
from decimal import Decimal

import pytest
import websockets
from ocpp.v16 import ChargePoint, call

from cpo_server import BIN, ConfiguredServer, subprocess

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "Config"
WATT_HOURS = 10_000


def example(name):
    return json.loads((CONFIG / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ConfiguredServer(tmp_path_factory.mktemp("places") / "cpo") as server:
        yield server


def put_examples(server):
    for path, name in [("/tariffs/DAY-NIGHT", "tariff"), ("/locations/DEPOT", "location")]:
        status, answer = server.api("PUT", path, example(name))
        assert status == 200, answer


async def charge(server, connector):
    async with websockets.connect(server.ws + "CS-1", subprotocols=["ocpp1.6"]) as socket:
        station = ChargePoint("CS-1", socket, response_timeout=30)
        listening = asyncio.create_task(station.start())
        await station.call(call.BootNotification("Model", "Vendor"))
        now = datetime.datetime.fromisoformat((await station.call(call.Heartbeat())).current_time)
        began = (now - datetime.timedelta(hours=1)).isoformat()
        started = await station.call(call.StartTransaction(connector, "CARD-1", 1_000, began))
        await station.call(call.StopTransaction(
            1_000 + WATT_HOURS, now.isoformat(), started.transaction_id, reason="Local"))
        listening.cancel()


def test_a_charge_costs_what_the_examples_say(server):
    assert server.api("PUT", "/locations/DEPOT", example("location"))[0] == 422
    put_examples(server)
    card = {"type": "RFID", "contract_id": "IN-KRB-C1", "issuer": "Kerb", "valid": True, "whitelist": "ALLOWED"}
    assert server.api("PUT", "/tokens/CARD-1", card)[0] == 200
    asyncio.run(charge(server, 1))
    session = server.api("GET", "/sessions")[1]["items"][0]
    assert (session["location"], session["evseUID"], session["tariff"]) == ("DEPOT", "YARD-1", "DAY-NIGHT")
    # By the day, by the night, or over the hour between them.
    assert Decimal(120) <= Decimal(str(session["cost"]["exclVAT"])) <= Decimal(180), session
    status, answer = server.api("DELETE", "/tariffs/DAY-NIGHT")
    assert status == 409 and "DEPOT/YARD-1" in answer["detail"], answer


def test_what_is_got_can_be_put_again(server):
    put_examples(server)
    status, place = server.api("GET", "/locations/DEPOT")
    assert place["evses"][0]["station"] == "CS-1" and place["evses"][0]["station_connector"] == 1
    assert server.api("PUT", "/locations/DEPOT", place) == (200, place)
    line = server.api("GET", "/audit?limit=1")[1]["items"][0]
    assert line["action"] == "location.put" and line["detail"]["tariffs"] == ["DAY-NIGHT"], line
    status, tariff = server.api("GET", "/tariffs/DAY-NIGHT")
    assert server.api("PUT", "/tariffs/DAY-NIGHT", tariff)[0] == 200
    wanted = example("location")
    for evse, was in zip(place["evses"], wanted["evses"]):
        assert {key: evse[key] for key in was if key != "connectors"} == {
            key: was[key] for key in was if key != "connectors"}
        assert evse["capabilities"], "no app would offer to start here"


def test_a_mistake_in_a_place_is_named(server):
    put_examples(server)
    before = server.api("GET", "/locations/DEPOT")

    def refused(change, field):
        body = copy.deepcopy(example("location"))
        change(body)
        status, answer = server.api("PUT", "/locations/DEPOT", body)
        assert status == 422 and answer["field"] == field and answer["detail"], answer

    first = lambda body: body["evses"][0]
    plug = lambda body: first(body)["connectors"][0]
    refused(lambda body: body.update(time_zone="Asia/Kolkatta"), "time_zone")
    refused(lambda body: body.update(publish="yes"), "publish")
    refused(lambda body: body.update(opening_times={}), "opening_times")
    refused(lambda body: body.update(evses={}), "evses")
    refused(lambda body: plug(body).update(tariff_ids=["DAY-NITE"]), "evses.0.connectors.0.tariff_ids")
    refused(lambda body: plug(body).update(tariff_ids="DAY-NIGHT"), "evses.0.connectors.0.tariff_ids")
    refused(lambda body: plug(body).update(tariff_id=["DAY-NIGHT"]), "evses.0.connectors.0.tariff_id")
    refused(lambda body: plug(body).update(power_type="AC"), "evses.0.connectors.0.power_type")
    refused(lambda body: first(body).pop("station_connector"), "evses.0.station_connector")
    refused(lambda body: body["evses"][1].update(station_connector=1), "evses")
    refused(lambda body: body["evses"][1].update(uid="yard-1", station_connector=2), "evses")
    other = example("location")
    other["evses"] = [{**other["evses"][0], "uid": "OTHER-1"}]
    status, answer = server.api("PUT", "/locations/OTHER", other)
    assert status == 422 and "YARD-1" in answer["detail"], answer
    assert server.api("GET", "/locations/DEPOT") == before


def test_a_mistake_in_a_tariff_is_named(server):
    put_examples(server)
    before = server.api("GET", "/tariffs/DAY-NIGHT")

    def refused(change, field):
        body = copy.deepcopy(example("tariff"))
        change(body)
        status, answer = server.api("PUT", "/tariffs/DAY-NIGHT", body)
        assert status == 422 and answer["field"] == field and answer["detail"], answer

    night = lambda body: body["elements"][0]
    refused(lambda body: body.update(energy_mix={"is_green_energy": True}), "energy_mix")
    refused(lambda body: body.update(max_prise={"excl_vat": 20}), "max_prise")
    refused(lambda body: night(body).update(restriction=night(body).pop("restrictions")), "elements[0].restriction")
    refused(lambda body: night(body)["restrictions"].update(end_tme="06:00"), "elements[0].restrictions.end_tme")
    refused(lambda body: night(body)["price_components"][0].update(vta=18), "elements[0].price_components[0].vta")
    assert server.api("GET", "/tariffs/DAY-NIGHT") == before


def test_a_plug_moves_when_it_is_said(server):
    put_examples(server)
    other = example("location")
    other["evses"] = [{**other["evses"][0], "uid": "OTHER-1"}]
    status, answer = server.api("PUT", "/locations/OTHER?move=true", other)
    assert status == 200 and answer["evses"][0]["station"] == "CS-1", answer
    left = server.api("GET", "/locations/DEPOT")[1]["evses"][0]
    assert left["uid"] == "YARD-1" and "station" not in left, left
    assert server.api("PUT", "/locations/DEPOT?move=true", example("location"))[0] == 200
    # Two plugs of two places change them in one table.
    third = {**example("location")["evses"][0], "uid": "OTHER-2", "station": "CS-9", "station_connector": 1}
    assert server.api("PUT", "/locations/OTHER", {**other, "evses": [third]})[0] == 200
    head = ("location_id,name,address,city,country,latitude,longitude,time_zone,evse_uid,station,station_connector,"
            "connector_id,standard,format,power_type,max_voltage,max_amperage\n")
    place = "Depot,Ring 1,Delhi,IND,28.6139,77.2090,Asia/Kolkata"
    plug = "1,IEC_62196_T2,SOCKET,AC_3_PHASE,230,32"
    table = f"{head}DEPOT,{place},YARD-1,CS-9,1,{plug}\nOTHER,{place},OTHER-2,CS-1,1,{plug}\n"
    assert server.table("locations", table)[0] == 200
    for place, uid, station in [("DEPOT", "YARD-1", "CS-9"), ("OTHER", "OTHER-2", "CS-1")]:
        evses = {evse["uid"]: evse for evse in server.api("GET", f"/locations/{place}")[1]["evses"]}
        assert evses[uid]["station"] == station
    assert server.table("locations", f"{head}DEPOT,{place},YARD-2,CS-1,1,{plug}\n")[0] == 422
    assert server.api("DELETE", "/locations/OTHER")[0] == 204


def test_a_plug_that_is_gone_keeps_no_tariff_and_no_place_from_being_changed(server):
    put_examples(server)
    assert server.api("PUT", "/tariffs/OLD", example("tariff"))[0] == 200
    body = example("location")
    body["evses"].append({**body["evses"][0], "uid": "YARD-9", "station": None, "station_connector": None})
    body["evses"][2]["connectors"] = [{**body["evses"][2]["connectors"][0], "tariff_ids": ["OLD"]}]
    assert server.api("PUT", "/locations/DEPOT", body)[0] == 200
    assert server.api("PUT", "/locations/DEPOT", example("location"))[0] == 200
    assert server.api("DELETE", "/tariffs/OLD")[0] == 204
    status, place = server.api("GET", "/locations/DEPOT")
    assert [evse["status"] for evse in place["evses"]][2] == "REMOVED"
    assert server.api("PUT", "/locations/DEPOT", {**place, "name": "Yard", "operator": None})[0] == 200


def test_doctor_names_plugs_that_charge_for_nothing(server):
    put_examples(server)
    free = example("location")
    free["evses"][1]["connectors"][0].pop("tariff_ids")
    assert server.api("PUT", "/locations/DEPOT", free)[0] == 200
    done = subprocess.run([str(BIN / "kerb-cpo"), "doctor", "--config", str(server.configuration)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if "prices" in line)
    assert "DEPOT/YARD-2" in line and "YARD-1" not in line, done.stdout


def test_keys_and_people_are_ended_under_a_running_server(server):
    key, secret = server.run("key", "add", "desk", "--role", "viewer").split()[-1], server.key
    prefix = key.split("_")[1]
    server.key = key
    try:
        assert server.api("GET", "/me")[0] == 200
        assert prefix in server.run("key", "revoke", prefix)
        assert server.api("GET", "/me")[0] == 401
    finally:
        server.key = secret
    listed = {line["prefix"]: line for line in json.loads(server.run("key", "list", "--json"))}
    assert "revokedAt" in listed[prefix] and "revokedAt" not in listed[secret.split("_")[1]]
    assert secret not in server.run("key", "list")
    server.run("user", "add", "anna", "--role", "admin")
    server.run("user", "add", "otto", "--role", "viewer")
    assert "otto" in server.run("user", "remove", "otto")
    refused = subprocess.run(
        [str(BIN / "kerb-cpo"), "user", "remove", "anna", "--config", str(server.configuration)],
        capture_output=True, text=True, timeout=120)
    assert refused.returncode == 4 and "last admin" in refused.stderr and "user add" in refused.stderr
    assert [line["user"] for line in json.loads(server.run("user", "list", "--json"))] == ["anna"]
    told = server.api("GET", "/audit")[1]["items"]
    assert [(line["who"], line["action"], line["subject"]) for line in told[:2]] == [
        ("command line", "user.remove", "otto"), ("command line", "key.revoke", prefix)]
