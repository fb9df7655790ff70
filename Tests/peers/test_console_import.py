"""An admin checks and imports a table that Python's csv module wrote, in a real Chromium."""
import csv
import pathlib

import pytest
from playwright.sync_api import expect

from test_console_chromium import CHROMIUM, PATIENCE, accessible, browser, log_in, page  # noqa: F401 (fixtures)
from cpo_server import Server

pytestmark = pytest.mark.skipif(
    not pathlib.Path(CHROMIUM).exists(), reason="Chromium is not installed: make setup")

PLACE = {
    "location_id": "DEPOT-9", "name": 'Depot "Nine", north', "address": "Ring Road 9", "city": "Delhi",
    "country": "IND", "latitude": "28.6139", "longitude": "77.2090", "time_zone": "Asia/Kolkata",
}
PLUG = {"standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE", "max_voltage": 400,
        "max_amperage": 32, "tariff_ids": ""}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("import") / "data").start()
    yield server
    server.process.terminate()
    server.process.wait(20)


def table(path, rows, delimiter=","):
    with open(path, "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_places_are_checked_and_imported(server, page, tmp_path):  # noqa: F811
    log_in(page, server)
    page.get_by_role("link", name="Import").click()
    page.get_by_label("What the table holds").select_option("locations")
    rows = [
        {**PLACE, "evse_uid": f"DEPOT-9-{number}", "station": "BAY9", "station_connector": number, "connector_id": "1",
         **PLUG}
        for number in (1, 2)]
    rows[1].update({name: "" for name in PLACE if name != "location_id"})
    page.get_by_label("File").set_input_files(table(tmp_path / "good.csv", rows, ";"))
    expect(page.get_by_role("button", name="Import")).to_be_disabled()
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("1 would be created, 0 would be changed")).to_be_visible(timeout=PATIENCE)
    accessible(page)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("1 created, 0 changed")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("1 would be left as they are")).to_be_visible(timeout=PATIENCE)

    rows[1]["max_voltage"] = "much"
    page.get_by_label("File").set_input_files(table(tmp_path / "bad.csv", rows))
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("`max_voltage` must be a whole number", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("cell", name="3", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Import")).to_be_disabled()
    page.complaints[:] = [one for one in page.complaints if "422" not in one]


def test_alerts_are_listed(server, page):  # noqa: F811
    log_in(page, server)
    page.get_by_role("link", name="Alerts").click()
    expect(page.get_by_text("Nothing is wrong that somebody should be told.")).to_be_visible(timeout=PATIENCE)
    accessible(page)


def test_a_driver_is_checked_and_erased(server, page):  # noqa: F811
    log_in(page, server)
    page.get_by_role("link", name="Privacy").click()
    card = page.get_by_label("Token (uid of a card or an app)")
    erase = page.get_by_role("button", name="Erase for good")
    card.fill("DEMO-CARD-2")
    page.get_by_role("button", name="What is kept").click()
    expect(page.get_by_text("contractID")).to_be_visible(timeout=PATIENCE)
    expect(erase).to_be_disabled()
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("cell", name="tokens", exact=True)).to_be_visible(timeout=PATIENCE)
    accessible(page)
    expect(erase).to_be_enabled()
    # Another name was not checked.
    card.fill("DEMO-CARD-22")
    expect(erase).to_be_disabled()
    card.fill("DEMO-CARD-2")
    page.get_by_role("button", name="Check").click()
    expect(erase).to_be_enabled(timeout=PATIENCE)
    page.once("dialog", lambda dialog: dialog.accept())
    erase.click()
    expect(page.get_by_role("columnheader", name="Erased", exact=True)).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("Nothing is kept of this person.")).to_be_visible(timeout=PATIENCE)
