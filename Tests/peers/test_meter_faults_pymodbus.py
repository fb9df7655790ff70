"""pymodbus plays two meters on a serial line that damages their answers; `kerb-edge read --watch` must
say what is wrong, go on by itself when it is over, and never show a number that no meter told.
"""
import json
import queue
import struct
import subprocess
import threading
import time

import pytest
from fault_wire import (
    FaultyWire, exception, late, replaced, silence, split, truncated, whole, wrong_check_sum, wrong_unit)
from pymodbus import FramerType
from pymodbus.server import StartAsyncSerialServer

from test_meters_pymodbus import BIN, SDM120, SDM630, configuration, context, down, f32, in_background, stored

# Currents and power that are all but nothing, and told apart from every other register.
AMPERES, WATTS, REGISTER = f32(0.0078125), f32(0.25), f32(812.3457)
IDLE = {0x0006: AMPERES, 0x0008: AMPERES, 0x000A: AMPERES, 0x000C: f32(0.0), 0x0010: f32(0.0), 0x0034: WATTS}


def wire(words):
    return struct.pack(f">{len(words)}H", *words)


# 82 kW, so that a register that stands still shows within seconds.
BUSY = replaced([(wire(AMPERES), wire(f32(119.0))), (wire(WATTS), wire(f32(82_000.0)))])
FALLEN = replaced([(wire(REGISTER), wire(f32(700.0)))])
METERS = {
    1: ("sdm630", 4, {**SDM630, **IDLE}),
    2: ("sdm120", 4, {**SDM120, 0x0006: f32(0.0), 0x000C: f32(0.0)}),
}
FIRST = 812_345


class Rig:
    """Meters, wire and a `kerb-edge read --watch` that tells every second."""

    def __init__(self, folder):
        self.wire = FaultyWire(folder)
        served = context(METERS)
        in_background(lambda: StartAsyncSerialServer(
            served, framer=FramerType.RTU, port=str(self.wire.theirs), baudrate=9600, parity="N",
            stopbits=1))
        self.path = configuration(
            folder, {"kind": "rtu", "device": self.wire.ours, "baud": 9600}, METERS)
        self.told = queue.Queue()
        self.agent = subprocess.Popen(
            [BIN / "kerb-edge", "read", "--watch", "--config", self.path, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        # Every register that any meter held so far: whatever else is told was made up.
        self.registers = {FIRST, down(stored(654.321))}

    def _read(self):
        for line in self.agent.stdout:
            self.told.put(json.loads(line))

    def until(self, is_it, what, seconds=30):
        """The first meter's row once it is as asked; no row before it may show an invented number."""
        deadline = time.monotonic() + seconds
        rows = None
        while time.monotonic() < deadline:
            try:
                rows = {row["connector"]: row["meter"] for row in self.told.get(timeout=1)}
            except queue.Empty:
                continue
            for row in rows.values():
                if "registerWh" in row:
                    assert row["registerWh"] in self.registers, row
                    assert all(80 <= volts <= 300 for volts in row["voltagesV"]), row
            if is_it(rows[1]):
                return rows[1]
        raise AssertionError(f"{what} did not come: {rows}")

    def good(self):
        return self.until(lambda row: row.get("quality") == "good", "a good reading")

    def stop(self):
        self.agent.terminate()
        self.agent.wait()
        self.wire.stop()


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    rig = Rig(tmp_path_factory.mktemp("line"))
    try:
        rig.good()
        yield rig
    finally:
        rig.stop()


@pytest.mark.parametrize("fault, words", [
    (silence, "does not answer"),
    (wrong_unit, "another unit"),
    (wrong_check_sum, "not the meter's"),
    (truncated, ""),
    (exception(4), "exception 4"),
    (late(0.9), "does not answer"),
], ids=["silence", "wrong unit", "check sum", "truncated", "exception", "late"])
def test_a_damaged_answer_is_an_error_and_never_a_number(rig, fault, words):
    rig.wire.fault = fault
    row = rig.until(lambda row: "error" in row, "an error")
    if "rests" not in row["error"]:
        assert words in row["error"], row
    rig.wire.fault = whole
    assert rig.good()["registerWh"] == FIRST


def test_an_answer_in_two_pieces_is_an_answer(rig):
    rig.wire.fault = split
    rig.good()
    rig.good()
    rig.wire.fault = whole


def test_an_adapter_that_is_pulled_out_and_put_back_is_found_again(rig):
    rig.wire.unplug()
    rig.until(lambda row: "down" in row.get("error", ""), "the loss of the adapter")
    rig.wire.plug_in()
    assert rig.good()["registerWh"] == FIRST


def test_a_register_that_stands_still_while_current_flows_is_suspect(rig):
    rig.wire.fault = BUSY
    row = rig.until(lambda row: "suspect" in row.get("quality", ""), "a doubt")
    assert "energyImport grew by 0 Wh" in row["quality"]
    assert "suspect" in row["qualities"]["energyImport"]


def test_a_register_that_falls_is_refused_for_as_long_as_it_does(rig):
    rig.wire.fault = FALLEN
    for _ in range(2):
        row = rig.until(lambda row: "error" in row, "an error")
        assert "fell from" in row["error"] and "registerWh" not in row
    rig.wire.fault = whole
    assert rig.until(lambda row: "registerWh" in row, "the register")["registerWh"] == FIRST
