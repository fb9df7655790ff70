"""The OCA's public test cases for a 1.6 central system, by their ids: charges, orders from the centre, power and
line failures. `Sources/OCPP.md` says which test covers which case.
"""
import base64
import datetime
import json
import urllib.error

import pytest

from oca_station import BLOCKED, CARD, STRANGER, at_station, connected, server, stamp  # noqa: F401 (fixtures)
from test_ocpp16_station import run


# Core: boot, local charges.

def test_001_cold_boot(at_station):
    async def play(station):
        again = await station.boot()
        assert again["status"] == "Accepted" and 54 <= again["interval"] <= 66
        now = datetime.datetime.now(datetime.timezone.utc)
        assert abs((datetime.datetime.fromisoformat(again["currentTime"]) - now).total_seconds()) < 5
        beat = await station.tell("Heartbeat")
        assert abs((datetime.datetime.fromisoformat(beat["currentTime"]) - now).total_seconds()) < 5
        assert (await station.connector())["status"] == "Available"
    at_station(play)


@pytest.mark.parametrize("first", ["plug", "card", "cached"])
def test_003_004_1_007_a_charge_at_the_station(at_station, first):
    async def play(station):
        if first == "plug":
            await station.status("Preparing")
        if first != "cached":
            assert await station.authorize(CARD) == "Accepted"
        if first != "plug":
            await station.status("Preparing")
        transaction, status = await station.start(at=-60)
        assert status == "Accepted" and transaction > 0
        await station.status("Charging")
        assert (await station.sessions())[0]["status"] == "ACTIVE"
        assert await station.tell("MeterValues", connectorId=1, transactionId=transaction, meterValue=[
            {"timestamp": stamp(-30), "sampledValue": [{"value": "1200"}]}]) == {}
        assert (await station.stop(transaction, tag=CARD))["idTagInfo"]["status"] == "Accepted"
        await station.status("Finishing")
        await station.status("Available")
        session = (await station.sessions())[0]
        assert session["status"] == "COMPLETED" and session["energyWh"] == 500
    at_station(play)


def test_signed_values_come_back_byte_for_byte(at_station):
    """OCMF as meters write it: quotes, bars, a blank, an umlaut and escapes must come through as they are."""
    begin, end = (f'OCMF|{{"FV":"1.0","GI":"M\u00fcller \\"M\\" \\\\ \\/","RD":[{{"TX":"{which}","RV":{value}}}]}}'
                  f'|{{"SD":"30{which}"}}' for which, value in (("B", "1.000"), ("E", "1.500")))

    def signed(record, context, at):
        return [{"timestamp": stamp(at), "sampledValue": [
            {"value": "1000", "context": context, "location": "Outlet", "unit": "Wh"},
            {"value": record, "context": context, "format": "SignedData", "location": "Outlet",
             "measurand": "Energy.Active.Import.Register"}]}]

    async def play(station):
        transaction, _ = await station.start(at=-60)
        assert await station.tell("MeterValues", connectorId=1, transactionId=transaction,
                                  meterValue=signed(begin, "Transaction.Begin", -60)) == {}
        await station.stop(transaction, transactionData=signed(end, "Transaction.End", 0))
        (listed,) = await station.sessions()
        session = await station.api("GET", f"/sessions/{listed['id']}")
        samples = [sample for reading in session["readings"] for sample in reading["samples"]]
        assert [sample["signed"] for sample in samples if "signed" in sample] == [begin, end]
        assert all(sample["location"] == "Outlet" and sample["unit"] == "Wh" for sample in samples)
        assert [sample["value"] for sample in samples if "signed" not in sample] == [1000, 1000]
        assert not any("value" in sample for sample in samples if "signed" in sample)
        told = (await station.api("GET", f"/cdrs/{listed['id']}"))["signed_data"]
        assert told["encoding_method"] == "OCMF" and "public_key" not in told
        assert [(value["nature"], value["plain_data"]) for value in told["signed_values"]] == [
            ("Start", begin), ("End", end)]
        assert [base64.b64decode(value["signed_data"]).decode() for value in told["signed_values"]] == [begin, end]
    at_station(play)


def test_004_2_no_plug_comes_after_the_card(at_station):
    async def play(station):
        assert await station.authorize(CARD) == "Accepted"
        await station.status("Preparing")
        await station.status("Available")
        assert await station.sessions() == []
    at_station(play)


def test_005_1_the_cable_is_pulled_at_the_car(at_station):
    async def play(station):
        transaction, _ = await station.start(at=-60)
        await station.status("SuspendedEV")
        assert await station.stop(transaction, reason="EVDisconnected") == {}
        assert (await station.sessions())[0]["stopReason"] == "EVDisconnected"
    at_station(play)


@pytest.mark.parametrize("tag, status", [(STRANGER, "Invalid"), (BLOCKED, "Blocked")])
def test_023_1_023_3_authorize(at_station, tag, status):
    async def play(station):
        assert await station.authorize(tag) == status
    at_station(play)


# Orders from the centre.

@pytest.mark.parametrize("first", ["cable", "order"])
def test_010_011_1_a_remote_start(at_station, first):
    async def play(station):
        if first == "cable":
            await station.status("Preparing")
        made = await station.order("RemoteStartTransaction", command="start", evse=1, token=CARD)
        assert made["state"] == "accepted"
        if first == "order":
            await station.status("Preparing")
        _, status = await station.start()
        assert status == "Accepted"
        seen = await station.command(made)
        assert seen["state"] == "seen" and seen["effect"] == (await station.sessions())[0]["id"]
    at_station(play)


def test_011_2_nobody_plugs_in_after_a_remote_start(at_station):
    async def play(station):
        made = await station.order("RemoteStartTransaction", command="start", evse=1, token=CARD)
        await station.status("Preparing")
        await station.status("Available")
        # It waits until its window is over, and begins nothing; the unit test lets the window pass.
        assert (await station.command(made))["state"] == "accepted"
        assert await station.sessions() == []
    at_station(play)


def test_012_a_remote_stop(at_station):
    async def play(station):
        transaction, _ = await station.start(at=-60)
        session = (await station.sessions())[0]["id"]
        made = await station.order(command="stop", session=session)
        assert await station.heard.get() == ("RemoteStopTransaction", {"transactionId": transaction})
        await station.stop(transaction, reason="Remote")
        assert (await station.command(made))["state"] == "seen"
        assert (await station.sessions())[0]["stopReason"] == "Remote"
    at_station(play)


@pytest.mark.parametrize("kind", ["Hard", "Soft"])
def test_013_014_reset(server, kind):
    async def play():
        async with connected(server, f"OCA-RESET-{kind}") as station:
            transaction, _ = await station.start(at=-60)
            made = await station.order("Reset", command="reset", kind=kind)
            assert made["state"] == "accepted"
            if kind == "Soft":
                await station.stop(transaction, reason="SoftReset")
        async with connected(server, f"OCA-RESET-{kind}") as station:
            if kind == "Hard":
                await station.stop(transaction, reason="HardReset")
            assert (await station.command(made))["state"] == "seen"
            assert (await station.sessions())[0]["stopReason"] == f"{kind}Reset"
    run(play())


@pytest.mark.parametrize("answer, state", [
    ("Unlocked", "seen"), ("UnlockFailed", "rejected"), ("NotSupported", "rejected")])
def test_017_1_017_2_030_031_unlock(at_station, answer, state):
    async def play(station):
        station.script["UnlockConnector"] = {"status": answer}
        made = await station.order("UnlockConnector", command="unlock", evse=1)
        assert (made["state"], made["answer"]) == (state, answer)
    at_station(play)


def test_018_1_unlock_ends_a_charge(at_station):
    async def play(station):
        station.script["UnlockConnector"] = {"status": "Unlocked"}
        transaction, _ = await station.start(at=-60)
        await station.order("UnlockConnector", command="unlock", evse=1)
        await station.stop(transaction, reason="UnlockCommand")
        assert (await station.sessions())[0]["stopReason"] == "UnlockCommand"
    at_station(play)


@pytest.mark.parametrize("keys", [[], ["SupportedFeatureProfiles"]])
def test_019_1_019_2_configuration_is_read(at_station, keys):
    async def play(station):
        entry = {"key": "SupportedFeatureProfiles", "readonly": True, "value": "Core"}
        station.script["GetConfiguration"] = {"configurationKey": [entry]}
        made = await station.order(command="getSettings", keys=keys)
        assert await station.heard.get() == ("GetConfiguration", {"key": keys} if keys else {})
        assert json.loads(made["answer"])["settings"] == [entry]
    at_station(play)


@pytest.mark.parametrize("answer, state", [
    ("Accepted", "seen"), ("RebootRequired", "seen"), ("NotSupported", "rejected"), ("Rejected", "rejected")])
def test_021_040_1_040_2_configuration_is_changed(at_station, answer, state):
    async def play(station):
        station.script["ChangeConfiguration"] = {"status": answer}
        made = await station.order("ChangeConfiguration", command="changeSetting", key="MeterValueSampleInterval", value="10")
        assert (made["state"], made["answer"]) == (state, answer)
    at_station(play)


def test_024_a_lock_fails(at_station):
    async def play(station):
        await station.status("Faulted", error="ConnectorLockFailure")
        connector = await station.connector()
        assert connector["status"] == "Faulted" and connector["errorCode"] == "ConnectorLockFailure"
        with pytest.raises(urllib.error.HTTPError) as refused:
            await station.order(command="start", evse=1, token=CARD)
        assert refused.value.code == 409
    at_station(play)


def test_026_028_remote_orders_are_rejected(at_station):
    async def play(station):
        station.script["RemoteStartTransaction"] = station.script["RemoteStopTransaction"] = {"status": "Rejected"}
        made = await station.order("RemoteStartTransaction", command="start", evse=1, token=CARD)
        assert made["state"] == "rejected"
        await station.start()
        made = await station.order(
            "RemoteStopTransaction", command="stop", session=(await station.sessions())[0]["id"])
        assert made["state"] == "rejected" and (await station.sessions())[0]["status"] == "ACTIVE"
    at_station(play)


def test_061_the_cache_is_cleared(at_station):
    async def play(station):
        assert (await station.order("ClearCache", command="clearCache"))["state"] == "seen"
    at_station(play)


def test_064_data_of_an_unknown_vendor(at_station):
    async def play(station):
        assert await station.tell("DataTransfer", vendorId="org.nobody", messageId="m", data="{}") == {
            "status": "UnknownVendorId"}
    at_station(play)


# Power and line failures.

def test_032_1_power_fails(server):
    async def play():
        async with connected(server, "OCA-POWER") as station:
            transaction, _ = await station.start(at=-60)
        async with connected(server, "OCA-POWER") as station:
            assert await station.stop(transaction, reason="PowerLoss") == {}
            assert (await station.sessions())[0]["stopReason"] == "PowerLoss"
    run(play())


def test_037_1_039_a_charge_without_the_line(server):
    async def play():
        async with connected(server, "OCA-LINE"):
            pass
        async with connected(server, "OCA-LINE", reboots=False) as station:
            began, sampled, ended = stamp(-900), stamp(-600), stamp(-300)
            transaction, status = await station.start(at=began)
            assert status == "Accepted"
            await station.tell("MeterValues", connectorId=1, transactionId=transaction, meterValue=[
                {"timestamp": sampled, "sampledValue": [{"value": "1300"}]}])
            await station.stop(transaction, at=ended)
            session = (await station.sessions())[0]
            assert session["status"] == "COMPLETED" and session["energyWh"] == 500
            # The station's times, not those at which it could tell them.
            assert (session["startedAt"], session["endedAt"]) == (began, ended)
            series = (await station.api("GET", f"/sessions/{session['id']}"))["series"]
            assert [(one["at"], one["energyWh"]) for one in series] == [(began, 0), (sampled, 300), (ended, 500)]
    run(play())


def test_037_3_an_invalid_tag_without_the_line(at_station):
    async def play(station):
        transaction, status = await station.start(tag=STRANGER, at=-60)
        assert status == "Invalid" and transaction > 0
        await station.stop(transaction, register=1010, reason="DeAuthorized")
        page = await station.api("GET", "/suspicions?limit=500")
        codes = {one["code"] for one in page["items"] if one["station"] == station.name}
        assert {"unknownToken", "chargedWhileRefused"} <= codes
    at_station(play)
