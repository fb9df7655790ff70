"""A real Chromium opens the console of `kerb-cpo serve --demo`, logs in, starts and stops a charge."""
import json
import pathlib
import re
import sqlite3
import time
import urllib.request

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from console_station import REASON, ChargerThread
from cpo_server import Server

CHROMIUM = "/usr/bin/chromium"
PATIENCE = 30_000  # milliseconds; the machine may be busy
HOSTILE = "<img src=x onerror='document.title=1'>"

pytestmark = pytest.mark.skipif(
    not pathlib.Path(CHROMIUM).exists(), reason="Chromium is not installed: make setup")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("console") / "data").start()
    yield server
    server.process.terminate()
    server.process.wait(20)


@pytest.fixture(scope="module")
def charger(server):
    with ChargerThread(server.ws, "BAY7", HOSTILE) as charger:
        yield charger


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        # Without a sandbox only because tests may run as root.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(locale="en-IN", timezone_id="Asia/Kolkata")
    page = watched(context)
    yield page
    assert page.complaints == []
    context.close()


def watched(context):
    """A page that remembers what a user would never see: errors and broken policies."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.complaints = []
    page.on("requestfailed", lambda request: page.complaints.append(f"failed: {request.method} {request.url} {request.failure}") if "ERR_ABORTED" not in str(request.failure) else None)
    page.on("pageerror", lambda error: page.complaints.append(f"error: {error}"))
    page.on("console", lambda line: page.complaints.append(f"console: {line.text}")
            if line.type == "error" and not re.search("401|409|422", line.text)
            # Whether a new token is there already.
            and not ("404" in line.text and "/api/v1/tokens/" in line.location["url"]) else None)
    page.expose_function("brokenPolicy", lambda text: page.complaints.append(f"policy: {text}"))
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation',"
        " (event) => brokenPolicy(event.violatedDirective + ' ' + event.blockedURI))")
    return page


def log_in(page, server):
    login = json.loads((server.folder / "demo-console-login").read_text())
    page.goto(server.http + "/")
    page.get_by_label("Name").fill(login["user"])
    page.get_by_label("Password").fill(login["password"])
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Stations")).to_be_visible(timeout=PATIENCE)


def accessible(page):
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_charge_is_started_and_stopped(page, server, charger):
    log_in(page, server)
    bay = page.get_by_role("region", name="Station BAY7")
    expect(bay.get_by_text("online")).to_be_visible(timeout=PATIENCE)
    expect(bay.get_by_text("Tester Console")).to_be_visible()
    # What a charger says is text, whatever it looks like.
    expect(bay.get_by_text(HOSTILE)).to_be_visible()
    assert bay.locator("img").count() == 0
    # A connector without an error says why it gives nothing; one that says nothing has a dash.
    expect(bay.get_by_role("row").filter(has_text="Available").get_by_text(REASON)).to_be_visible(timeout=PATIENCE)
    assert bay.locator("td b").count() == 0

    page.get_by_role("button", name="Start connector 1 of BAY7").click()
    dialog = page.get_by_role("dialog", name="Start connector 1 of BAY7")
    dialog.get_by_label("Token that pays").fill("DEMO-CARD-1")
    dialog.get_by_role("button", name="Start charging").click()
    # Nobody reloads: the event stream brings all of it.
    expect(bay.get_by_text("Charging")).to_be_visible(timeout=PATIENCE)
    expect(bay.get_by_text("7.20 kW")).to_be_visible(timeout=PATIENCE)
    expect(bay.get_by_role("row").filter(has_text="Charging").get_by_role("cell").nth(3)).to_have_text("–")
    expect(page.get_by_role("status").filter(has_text="Start of connector 1")).to_have_text(
        re.compile("accepted|seen"), timeout=PATIENCE)

    page.get_by_role("link", name="Sessions").click()
    expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="BAY7 / 1")
    expect(row).to_contain_text("1.234 kWh", timeout=PATIENCE)
    expect(row).to_contain_text("7.20 kW")
    expect(row).to_contain_text("ACTIVE")
    expect(row).not_to_contain_text("DEMO-CARD-1")
    row.get_by_role("button", name="Stop session").click()
    expect(row).to_contain_text("COMPLETED", timeout=PATIENCE)
    expect(row).to_contain_text("1.334 kWh")
    expect(row).to_contain_text("₹")


def test_a_stations_code_is_made_and_shown_once(page, server):
    log_in(page, server)
    page.get_by_role("button", name="Enrol a station").click()
    dialog = page.get_by_role("dialog", name="Enrol a station")
    dialog.get_by_label("Station id").fill("NEW-1")
    dialog.get_by_role("button", name="Make a code").click()
    expect(dialog.get_by_role("img", name="QR code for the board of NEW-1")).to_be_visible(timeout=PATIENCE)
    expect(dialog.get_by_text(re.compile("^kerb-edge enrol 'kerb:enrol\\?cpo=https://127.0.0.1:"))).to_be_visible()
    accessible(page)
    dialog.get_by_role("button", name="Close").click()
    # The event stream brings the station that was taken in.
    expect(page.get_by_role("region", name="Station NEW-1")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_station_is_ordered_and_taken_out_of_the_registry(page, server, charger):
    admin(server, "PUT", "/stations/GONE-1", {"registration": "Accepted"})
    log_in(page, server)
    page.get_by_role("button", name="Orders to BAY7").click()
    orders = page.get_by_role("dialog", name="Orders to BAY7")
    orders.get_by_role("button", name="Give an order").click()
    dialog = page.get_by_role("dialog", name="Order to BAY7")
    dialog.get_by_role("combobox", name="Order", exact=True).select_option("changeSetting")
    accessible(page)
    dialog.get_by_role("textbox", name="Setting (OCPP key)").fill("HeartbeatInterval")
    dialog.get_by_role("textbox", name="Value").fill("60")
    dialog.get_by_role("button", name="Send").click()
    # The tester knows no such order and says so; the list tells it too.
    row = orders.get_by_role("row").filter(has_text="changeSetting")
    expect(row).to_contain_text("NotImplemented", timeout=PATIENCE)
    accessible(page)
    orders.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Delete GONE-1").click()
    page.get_by_role("dialog", name="Delete GONE-1").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("region", name="Station GONE-1")).to_have_count(0, timeout=PATIENCE)


def test_a_lost_card_is_blocked_and_a_list_is_kept(page, server, charger):
    log_in(page, server)
    page.get_by_role("link", name="Tokens").click()
    expect(page.get_by_text("No station's local list is kept in step.")).to_be_visible(timeout=PATIENCE)
    page.get_by_label("Search tokens").fill("card-2")
    expect(page.get_by_role("row").filter(has_text="DEMO-CARD-1")).to_have_count(0)
    row = page.get_by_role("row").filter(has_text="DEMO-CARD-2")
    row.get_by_role("button", name="Block DEMO-CARD-2").click()
    # What was sought stays when the page is drawn anew.
    expect(row).to_contain_text("Blocked", timeout=PATIENCE)
    expect(page.get_by_label("Search tokens")).to_have_value("card-2")
    row.get_by_role("button", name="Unblock DEMO-CARD-2").click()
    expect(row).to_contain_text("Valid", timeout=PATIENCE)
    accessible(page)

    page.get_by_role("link", name="Stations").click()
    page.get_by_role("button", name="Access of BAY7").click()
    dialog = page.get_by_role("dialog", name="Access of BAY7")
    dialog.get_by_label("Local list of tokens").select_option("kept in step")
    dialog.get_by_role("button", name="Close").click()
    # The tester is no charger with a list, and says so.
    bay = page.get_by_role("region", name="Station BAY7")
    expect(bay.get_by_text(re.compile("^list "))).to_be_visible(timeout=PATIENCE)


def test_a_card_is_made_and_the_audit_tells_it(page, server):
    log_in(page, server)
    page.get_by_role("link", name="Tokens").click()
    page.get_by_role("button", name="New token").click()
    dialog = page.get_by_role("dialog", name="New token")
    dialog.get_by_label("Uid, as a reader tells it").fill("demo-card-1")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("is there already", timeout=PATIENCE)
    dialog.get_by_label("Uid, as a reader tells it").fill("CARD-NEW")
    dialog.get_by_label("Group").fill("FLEET")
    dialog.get_by_label("Not accepted from").fill("2099-01-01T05:30:00")
    accessible(page)
    dialog.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="CARD-NEW")
    expect(row).to_contain_text("FLEET", timeout=PATIENCE)
    made = admin(server, "GET", "/tokens/CARD-NEW")
    # In this browser's zone, as the field says.
    assert (made["expires"], made["contract_id"]) == ("2099-01-01T00:00:00Z", "CARD-NEW")
    # Blocked by another while the dialog is open: what is saved leaves it so, and the time to its millisecond.
    row.get_by_role("button", name="Change CARD-NEW").click()
    admin(server, "PUT", "/tokens/CARD-NEW", {**made, "valid": False, "expires": "2099-01-01T00:00:00.250Z"})
    dialog = page.get_by_role("dialog", name="Change CARD-NEW")
    dialog.get_by_label("Group").fill("POOL")
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("POOL", timeout=PATIENCE)
    saved = admin(server, "GET", "/tokens/CARD-NEW")
    assert (saved["valid"], saved["group_id"], saved["expires"]) == (False, "POOL", "2099-01-01T00:00:00.250Z")
    page.get_by_role("link", name="Audit").click()
    line = page.get_by_role("row").filter(has_text="token.put").filter(has_text="CARD-NEW").filter(
        has_text="valid: true")
    expect(line).to_be_visible(timeout=PATIENCE)
    accessible(page)


def charge_of_a_stranger(server):
    """A charger lets a tag nobody knows charge 1.5 kWh, as one does that was offline."""
    with connect(server.ws + "BAY8", subprotocols=["ocpp1.6"]) as socket:
        def call(action, payload):
            socket.send(json.dumps([2, action, action, payload]))
            return json.loads(socket.recv(20))[2]

        call("BootNotification", {"chargePointVendor": "Console", "chargePointModel": "Offline"})
        begun = call("StartTransaction", {
            "connectorId": 1, "idTag": "STRANGER", "meterStart": 1000, "timestamp": at(-600)})
        call("StopTransaction", {
            "transactionId": begun["transactionId"], "meterStop": 2500, "timestamp": at(-60)})


def at(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def test_a_bill_that_looks_wrong_is_corrected(page, server):
    charge_of_a_stranger(server)
    log_in(page, server)
    page.get_by_role("link", name="Review").click()
    row = page.get_by_role("row").filter(has_text="unknownToken")
    expect(row).to_contain_text("1.500 kWh", timeout=PATIENCE)
    accessible(page)
    row.get_by_role("button", name="Correct").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Register at the start, Wh")).to_have_value("1000")
    dialog.get_by_label("Register at the end, Wh").fill("900")
    dialog.get_by_label("Reason").fill("the meter was read on site")
    accessible(page)
    dialog.get_by_role("button", name="Decide").click()
    # What is wrong is said where it was typed, and nothing of it is lost.
    expect(dialog.get_by_role("alert")).to_contain_text("meterStopWh", timeout=PATIENCE)
    dialog.get_by_label("Register at the end, Wh").fill("2200")
    dialog.get_by_role("button", name="Decide").click()
    expect(page.get_by_role("status").filter(has_text="replaces the former bill")).to_be_visible(
        timeout=PATIENCE)
    expect(row).to_have_count(0, timeout=PATIENCE)


def test_what_came_of_no_known_charge_is_bound_to_one(page, server):
    with connect(server.ws + "BAY9", subprotocols=["ocpp1.6"]) as socket:
        def call(action, payload):
            socket.send(json.dumps([2, action, action, payload]))
            return json.loads(socket.recv(20))[2]

        def start(register, seconds):
            return call("StartTransaction", {
                "connectorId": 1, "idTag": "DEMO-CARD-2", "meterStart": register, "timestamp": at(seconds)})["transactionId"]

        call("BootNotification", {"chargePointVendor": "Console", "chargePointModel": "Forgetful"})
        call("StopTransaction", {"transactionId": start(1000, -900), "meterStop": 2500, "timestamp": at(-600)})
        start(2500, -500)
        call("StopTransaction", {"transactionId": 987_654, "meterStop": 4700, "timestamp": at(-60)})
    log_in(page, server)
    page.get_by_role("link", name="Review").click()
    page.get_by_role("button", name=re.compile("^Bind .* of BAY9$")).click()
    dialog = page.get_by_role("dialog")
    choice = dialog.get_by_label("Session")
    choice.select_option(choice.get_by_role("option", name="1.500 kWh, COMPLETED").get_attribute("value"))
    dialog.get_by_label("Reason").fill("it lost its number")
    accessible(page)
    dialog.get_by_role("button", name="Decide").click()
    expect(dialog.get_by_role("alert")).to_contain_text("has its stop", timeout=PATIENCE)
    choice.select_option(choice.get_by_role("option", name="ACTIVE").get_attribute("value"))
    dialog.get_by_role("button", name="Decide").click()
    expect(dialog).to_have_count(0, timeout=PATIENCE)
    bound = admin(server, "GET", "/sessions?station=BAY9")["items"][0]
    assert (bound["status"], bound["energyWh"]) == ("COMPLETED", 2200)

    # Whole, from the list of all charges, and by its bill.
    page.get_by_role("link", name="Sessions").click()
    page.get_by_role("textbox", name="Station, its whole id").fill("BAY9")
    page.get_by_role("button", name="Show").click()
    row = page.get_by_role("row").filter(has_text="2.200 kWh")
    row.get_by_role("button", name="Details of session").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(bound["id"], timeout=PATIENCE)
    expect(dialog).to_contain_text("4700 Wh")
    accessible(page)
    dialog.get_by_role("button", name="Void session").click()
    dialog = page.get_by_role("dialog", name="Void session")
    dialog.get_by_label("Reason").fill("given away")
    dialog.get_by_role("button", name="Decide").click()
    expect(row).to_contain_text("INVALID", timeout=PATIENCE)

    page.get_by_role("link", name="Bills").click()
    expect(page.get_by_role("row").filter(has_text=f"{bound['id']}-1C")).to_be_visible(timeout=PATIENCE)
    accessible(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    table = pathlib.Path(download.value.path()).read_text()
    assert table.startswith("bill,") and f"{bound['id']}-1C,{bound['id']}," in table


def test_what_a_partner_did_not_take_is_dismissed(page, server):
    with sqlite3.connect(server.folder / "kerb.sqlite", timeout=30) as database:
        database.execute(
            "INSERT INTO journal_parked (reader, seq, at, reason) SELECT 'ocpi/gone/bill', MIN(seq), ?, ? FROM journal",
            (int(time.time() * 1000), HOSTILE))
    database.close()
    log_in(page, server)
    page.get_by_role("link", name="Review").click()
    row = page.get_by_role("row").filter(has_text="ocpi/gone/bill")
    expect(row).to_contain_text(HOSTILE, timeout=PATIENCE)
    accessible(page)
    row.get_by_role("button", name="Dismiss").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("paid by invoice")
    accessible(page)
    dialog.get_by_role("button", name="Dismiss").click()
    expect(row).to_have_count(0, timeout=PATIENCE)
    assert admin(server, "GET", "/audit")["items"][0]["action"] == "delivery.dismiss"


def admin(server, method, path, body=None):
    key = (server.folder / "demo-api-key").read_text().strip()
    request = urllib.request.Request(
        f"{server.http}/api/v1{path}", method=method, data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_a_station_is_adopted_with_one_click_and_its_access_changed(page, server):
    admin(server, "PUT", "/stations/BAY8", {"registration": "Pending"})
    log_in(page, server)
    page.get_by_role("link", name="Onboarding").click()
    expect(page.get_by_role("row").filter(has_text="BAY8")).to_contain_text("no password", timeout=PATIENCE)
    page.get_by_role("button", name="Adopt BAY8").click()
    expect(page.get_by_role("button", name="Adopt BAY8")).to_have_count(0, timeout=PATIENCE)
    assert admin(server, "GET", "/stations/BAY8")["registration"] == "Accepted"
    page.get_by_role("link", name="Stations").click()
    page.get_by_role("button", name="Access of BAY8").click()
    dialog = page.get_by_role("dialog")
    accessible(page)
    dialog.get_by_label("New password, 16 to 40 characters").fill("too short")
    dialog.get_by_role("button", name="Change").click()
    expect(dialog.get_by_role("status")).to_contain_text("16 to 40", timeout=PATIENCE)
    dialog.get_by_label("New password, 16 to 40 characters").fill("0123456789abcdef")
    dialog.get_by_label("Answer what departs").check()
    dialog.get_by_label("Take a connection that names no version").check()
    dialog.get_by_label("Zone of its clock").fill("Asia/Kolkata")
    dialog.get_by_role("button", name="Change").click()
    expect(dialog).to_have_count(0, timeout=PATIENCE)
    access = admin(server, "GET", "/stations/BAY8")["access"]
    assert access["strict"] and access["hasPassword"] and access["noSubprotocol"] and not access["anyUser"]
    assert access["timeZone"] == "Asia/Kolkata"
    with pytest.raises(InvalidStatus) as refused:
        connect(server.ws + "BAY8", subprotocols=["ocpp1.6"])
    assert refused.value.response.status_code == 401
    # It is written down in batches, and the page is drawn once.
    deadline = time.monotonic() + PATIENCE / 1000
    while not admin(server, "GET", "/refusals")["items"]:
        assert time.monotonic() < deadline, "the refusal is not written down"
        time.sleep(0.05)
    page.get_by_role("link", name="Onboarding").click()
    expect(page.get_by_role("row").filter(has_text="bay8")).to_contain_text(
        "no password was sent", timeout=PATIENCE)


def test_a_frame_is_found_in_the_message_log(page, server, charger):
    log_in(page, server)
    page.get_by_role("link", name="Messages").click()
    # A text field: the cards of the page before are called so too.
    page.get_by_role("textbox", name="Station", exact=True).fill("BAY7")
    page.get_by_role("textbox", name="Action", exact=True).fill("bootnotification")
    page.get_by_role("button", name="Search").click()
    rows = page.get_by_role("row").filter(has_text="BAY7")
    expect(rows).to_have_count(1, timeout=PATIENCE)
    expect(rows).to_contain_text("chargePointVendor")


def test_an_image_is_uploaded_and_sent_to_a_station(page, server, charger):
    log_in(page, server)
    page.get_by_role("link", name="Firmware").click()
    page.get_by_role("button", name="Upload an image").click()
    dialog = page.get_by_role("dialog", name="Upload an image")
    dialog.get_by_label("File").set_input_files({"name": "next.bin", "mimeType": "application/octet-stream", "buffer": b"firmware"})
    dialog.get_by_label("Vendor, as its stations tell it").fill("Tester")
    dialog.get_by_label("Version that they tell once they run it").fill("9.9")
    dialog.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("row", name="next.bin")).to_be_visible(timeout=PATIENCE)

    page.get_by_role("button", name="Start a campaign").click()
    dialog = page.get_by_role("dialog", name="Start a campaign")
    dialog.get_by_label("Name", exact=True).fill("to nine")
    dialog.get_by_label("Stations, one a line").fill("BAY7")
    dialog.get_by_role("button", name="Start", exact=True).click()
    campaign = page.get_by_role("region", name="Campaign to nine")
    campaign.get_by_role("button", name="Stations of to nine").click()
    expect(campaign.get_by_role("row", name="BAY7")).to_be_visible(timeout=PATIENCE)
    campaign.get_by_role("button", name="Cancel to nine").click()
    expect(campaign.get_by_text("cancelled").first).to_be_visible(timeout=PATIENCE)
    # What it ran before was never uploaded, or it was sent nothing yet: the question stays with its choice of images.
    campaign.get_by_role("button", name="Roll back to nine").click()
    dialog = page.get_by_role("dialog", name="Roll back to nine")
    accessible(page)
    dialog.get_by_role("button", name="Roll back").click()
    expect(dialog.get_by_role("alert")).to_contain_text(re.compile("which image|nothing to take back"), timeout=PATIENCE)
    expect(dialog.get_by_role("combobox", name="Image")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()

    page.get_by_role("link", name="Stations").click()
    page.get_by_role("button", name="Upkeep of BAY7").click()
    dialog = page.get_by_role("dialog", name="Upkeep of BAY7")
    dialog.get_by_role("button", name="Diagnostics").click()
    expect(dialog.get_by_role("row", name="BAY7 DiagnosticsLog")).to_be_visible(timeout=PATIENCE)
    accessible(page)


def test_a_wrong_password_says_so_and_log_out_ends_the_log_in(page, server):
    page.goto(server.http + "/console/")
    page.get_by_label("Name").fill("demo")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("name or password is wrong", timeout=PATIENCE)

    log_in(page, server)
    cookie = next(one for one in page.context.cookies() if one["name"] == "kerb")
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    page.reload()
    expect(page.get_by_role("heading", name="Stations")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    answer = page.request.get(
        server.http + "/api/v1/me", headers={"Cookie": f"kerb={cookie['value']}"})
    assert answer.status == 401


def test_a_site_is_put_limited_and_drawn(page, server, charger):
    log_in(page, server)
    page.get_by_role("link", name="Sites").click()
    page.get_by_role("button", name="Add a site").click()
    dialog = page.get_by_role("dialog", name="Add a site")
    dialog.get_by_label("Id", exact=True).fill("yard")
    tree = {"nodes": [{"id": "main", "name": "Main fuse", "amperes": 63}],
            "connectors": [{"station": "NOBODY", "connector": 1, "node": "main"}]}
    dialog.get_by_label("Fuses and connectors").fill(json.dumps(tree))
    dialog.get_by_role("button", name="Save").click()
    # What is wrong is said where it was typed, and nothing of it is lost.
    expect(dialog.get_by_role("alert")).to_contain_text("connectors[0].station")
    tree["connectors"][0]["station"] = "BAY7"
    dialog.get_by_label("Fuses and connectors").fill(json.dumps(tree))
    dialog.get_by_role("button", name="Save").click()
    site = page.get_by_role("region", name="Site yard")
    expect(site.get_by_role("row").filter(has_text="BAY7 / 1")).to_be_visible()
    expect(site.get_by_role("row").filter(has_text="Main fuse")).to_contain_text("63.0 / 63.0 / 63.0", timeout=PATIENCE)
    page.get_by_role("button", name="Limit main of yard").click()
    dialog = page.get_by_role("dialog", name="Limit main of yard")
    dialog.get_by_label("Amperes per phase").fill("20")
    dialog.get_by_role("button", name="Limit").click()
    expect(site.get_by_role("row").filter(has_text="Main fuse")).to_contain_text("20.0 / 20.0 / 20.0", timeout=PATIENCE)
    accessible(page)
    page.get_by_role("button", name="Compare the schedule of BAY7 / 1").click()
    dialog = page.get_by_role("dialog", name="Schedule of BAY7 / 1")
    expect(dialog).to_contain_text("It reports none that can be compared", timeout=PATIENCE)
    accessible(page)
    dialog.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Lift the limit of main of yard").click()
    expect(site.get_by_role("row").filter(has_text="Main fuse")).to_contain_text("63.0 / 63.0 / 63.0", timeout=PATIENCE)


@pytest.mark.parametrize("look", [
    {"color_scheme": "light"}, {"color_scheme": "dark"},
    {"color_scheme": "dark", "viewport": {"width": 390, "height": 800}},
], ids=["light", "dark", "phone"])
def test_every_page_is_accessible(browser, server, charger, look):
    context = browser.new_context(**look)
    page = watched(context)
    page.goto(server.http + "/console/")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    accessible(page)
    log_in(page, server)
    expect(page.get_by_role("region", name="Station BAY7")).to_be_visible()
    accessible(page)
    page.get_by_role("link", name="Sessions").click()
    expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
    accessible(page)
    for name in ("Bills", "Onboarding", "Messages", "Tokens", "Firmware", "Settings"):
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        accessible(page)
    assert page.complaints == []
    context.close()
