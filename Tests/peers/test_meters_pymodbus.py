"""pymodbus plays the meters, over TCP and over a pair of pseudo-terminals; `kerb-edge read` must tell
their values to the digit.

Register places and number formats are written here from the vendors' tables, not from Kerb's profiles;
what is expected is computed with exact fractions.
"""
import asyncio
import json
import os
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import threading
import time
from fractions import Fraction

import pytest
from pymodbus import FramerType
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import StartAsyncSerialServer, StartAsyncTcpServer

from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("KERB_BIN", ".build/debug")).absolute()


def f32(value):
    return list(struct.unpack(">HH", struct.pack(">f", value)))


def u32(value):
    return [value >> 16 & 0xFFFF, value & 0xFFFF]


def i32_low_word_first(value):
    return list(reversed(u32(value & 0xFFFFFFFF)))


def u64(value):
    return [value >> shift & 0xFFFF for shift in (48, 32, 16, 0)]


def down(value):
    """Whole watt-hours of kilowatt-hours, rounded down, without any floating step."""
    return (Fraction(value) * 1000).__floor__()


def stored(value):
    """The number that a float32 register really holds."""
    return Fraction(struct.unpack(">f", struct.pack(">f", value))[0])


def nearest(value, digits):
    """As a JSON number prints it: rounded half away from zero."""
    steps = abs(Fraction(value)) * 10 ** digits
    rounded = (steps + Fraction(1, 2)).__floor__()
    return (1 if value >= 0 else -1) * rounded / 10 ** digits


SDM630 = {
    0x0000: f32(230.2), 0x0002: f32(229.87), 0x0004: f32(231.456),
    0x0006: f32(15.998), 0x0008: f32(0.0), 0x000A: f32(31.5),
    0x000C: f32(3682.7), 0x000E: f32(0.0), 0x0010: f32(7290.9),
    0x0034: f32(10973.6), 0x003E: f32(0.9876), 0x0046: f32(49.98),
    0x0048: f32(812.3457), 0x004A: f32(0.001),
}
SDM120 = {
    0x0000: f32(228.1), 0x0006: f32(32.0), 0x000C: f32(7299.2), 0x001E: f32(1.0),
    0x0046: f32(50.02), 0x0048: f32(654.321), 0x004A: f32(0.0),
}
EM340 = {
    0x0000: i32_low_word_first(2301), 0x0002: i32_low_word_first(2302), 0x0004: i32_low_word_first(2303),
    0x000C: i32_low_word_first(16_001), 0x000E: i32_low_word_first(70_000), 0x0010: i32_low_word_first(-1),
    0x0012: i32_low_word_first(-36_805), 0x0014: i32_low_word_first(5), 0x0016: i32_low_word_first(0),
    0x0028: i32_low_word_first(-36_800), 0x0031: [0xFC18], 0x0033: [501],
    0x0034: i32_low_word_first(1_234_567), 0x004E: i32_low_word_first(0x7FFFFFFF),
}
ABB_B23 = {
    0x5000: u64(4_294_967_299), 0x5004: u64(0xFFFFFFFFFFFFFFFF),
    0x5B00: u32(2305), 0x5B02: u32(2299), 0x5B04: u32(0xFFFFFFFF),
    0x5B0C: u32(1601), 0x5B0E: u32(3), 0x5B10: u32(0),
    0x5B14: u32(368_949), 0x5B16: u32(0xFFFFFFFF), 0x5B18: u32(0), 0x5B1A: u32(0x7FFFFFFF),
    0x5B2C: [5001], 0x5B3A: [0xFC19], 0x8960: [0x4232, 0x3320],
}
METERS = {  # unit: (profile, function, registers)
    1: ("sdm630", 4, SDM630), 2: ("sdm120", 4, SDM120), 3: ("em340", 4, EM340), 4: ("abb-b23", 3, ABB_B23),
}


def f64(value):
    return list(struct.unpack(">HHHH", struct.pack(">d", value)))


def t5(exponent, mantissa):
    """Iskra: a signed exponent in the high byte, 24 bits of mantissa; t6 when the mantissa is signed."""
    return u32((exponent & 0xFF) << 24 | mantissa & 0xFFFFFF)


def text(value, registers):
    data = value.encode().ljust(2 * registers, b"\0")
    return list(struct.unpack(f">{registers}H", data))


PAC2200 = {
    1: f32(230.2), 3: f32(229.87), 5: f32(231.456), 13: f32(15.998), 15: f32(0.0), 17: f32(31.5),
    25: f32(3682.7), 27: f32(0.0), 29: f32(7290.9), 55: f32(50.01), 65: f32(10973.6),
    801: f64(123_456_789.75), 809: f64(0.0),
}
ISKRA = {
    1: text("WM3M4C", 8), 9: text("17000321", 4), 105: t5(-3, 50_010), 107: t5(-1, 2302), 109: t5(-2, 22_987),
    111: t5(-1, 2314), 126: t5(-3, 15_998), 128: t5(0, 0), 130: t5(-1, 315), 140: t5(0, 10_974), 142: t5(-1, 36_827),
    144: t5(0, -1), 146: t5(0, 7291), 414: [1], 415: [0xFFFF], 418: u32(8_123_457), 420: u32(0),
}
SCHNEIDER = {
    0x0031: text("iEM3255", 20), 0x0081: u32(21_000_001), 0x0BB7: f32(15.998), 0x0BB9: f32(0.0), 0x0BBB: f32(31.5),
    0x0BD3: f32(230.2), 0x0BD5: f32(229.87), 0x0BD7: f32(231.456), 0x0BED: f32(3.6827), 0x0BEF: f32(0.0),
    0x0BF1: f32(7.2909), 0x0BF3: f32(10.9736), 0x0C25: f32(49.98), 0x0C83: u64(9_876_543_210), 0x0C87: u64(0),
}
LOVATO = {  # Hundredths of a hertz, where others of the family tell thousandths.
    0x0001: u32(23_020), 0x0003: u32(22_987), 0x0005: u32(23_146), 0x0007: u32(159_980), 0x0009: u32(0),
    0x000B: u32(315_000), 0x0013: u32(368_270), 0x0015: u32(0xFFFFFFFF), 0x0017: u32(729_090), 0x0031: u32(5001),
    0x0039: u32(1_097_360), 0x1B1F: u64(1_234_567_890), 0x1B23: u64(0),
}
CHINT = {
    0x2006: f32(2302.0), 0x2008: f32(2298.7), 0x200A: f32(2314.56), 0x200C: f32(15_998.0), 0x200E: f32(0.0),
    0x2010: f32(31_500.0), 0x2012: f32(109_736.0), 0x202A: f32(987.0), 0x2044: f32(4998.0), 0x101E: f32(812.3457),
}
ACREL = {
    20: [2302], 21: [2299], 22: [2314], 26: [1600], 27: [0], 28: [3150], 30: u32(3683), 34: u32(7291), 36: u32(10_974),
    62: u32(1_234_567), 64: u32(0),
}
COUNTIS = {
    0xC558: u32(23_020), 0xC55A: u32(22_987), 0xC55C: u32(23_146), 0xC55E: u32(49_980), 0xC560: u32(15_998),
    0xC562: u32(0), 0xC564: u32(31_500), 0xC568: u32(0xFFFFFE8B), 0xC702: u32(123_456_789), 0xC708: u32(0),
}
MORE_METERS = {
    1: ("siemens-pac2200", 3, PAC2200), 2: ("iskra-wm3m4", 4, ISKRA), 3: ("schneider-iem3000", 3, SCHNEIDER),
    4: ("lovato-dmg", 4, LOVATO), 5: ("chint-dtsu666", 3, CHINT), 6: ("acrel-adw300", 3, ACREL),
    7: ("socomec-countis-e2x", 3, COUNTIS),
}
MORE_EXPECTED = {
    1: {"registerWh": 123_456_789, "powerW": 10_974, "voltagesV": [230.2, 229.87, 231.456], "frequencyHz": 50.01},
    2: {"registerWh": 81_234_570, "exportedWh": 0, "powerW": 10_974, "powersW": [3683, -1, 7291],
        "voltagesV": [230.2, 229.87, 231.4], "currentsA": [15.998, 0, 31.5], "frequencyHz": 50.01},
    3: {"registerWh": 9_876_543_210, "powerW": 10_974, "powersW": [3683, 0, 7291], "frequencyHz": 49.98},
    4: {"registerWh": 12_345_678_900, "powerW": 10_974, "powersW": [3683, 0, 7291], "frequencyHz": 50.01},
    5: {"registerWh": down(stored(812.3457)), "powerW": 10_974, "voltagesV": [230.2, 229.87, 231.456],
        "currentsA": [15.998, 0, 31.5], "frequencyHz": 49.98, "powerFactor": 0.987},
    6: {"registerWh": 12_345_670, "powerW": 10_974, "voltagesV": [230.2, 229.9, 231.4], "currentsA": [16, 0, 31.5]},
    7: {"registerWh": 1_234_567_890, "powerW": -3730, "voltagesV": [230.2, 229.87, 231.46], "frequencyHz": 49.98},
}
JANITZA = {  # 19060 is import minus export: nobody's bill.
    19000: f32(230.2), 19002: f32(229.87), 19004: f32(231.456), 19012: f32(15.998), 19014: f32(0.0), 19016: f32(31.5),
    19020: f32(3682.7), 19022: f32(0.0), 19024: f32(7290.9), 19026: f32(10973.6), 19050: f32(49.98),
    19060: f32(8_000_000.0), 19068: f32(8_123_456.0), 19076: f32(123_456.0),
}
UMG604 = {  # The energy alone stands where its sister has it.
    1317: f32(230.2), 1319: f32(229.87), 1321: f32(231.456), 1325: f32(15.998), 1327: f32(0.0), 1329: f32(31.5),
    1333: f32(3682.7), 1335: f32(0.0), 1337: f32(7290.9), 1369: f32(10973.6), 1439: f32(50.02),
    19060: f32(1.0), 19068: f32(9_876_544.0), 19076: f32(0.0),
}
INEPRO = {  # Kilowatts, with volts and amperes as they are.
    0x5002: f32(230.2), 0x5004: f32(229.87), 0x5006: f32(231.456), 0x5008: f32(49.98), 0x500C: f32(15.998),
    0x500E: f32(0.0), 0x5010: f32(31.5), 0x5012: f32(10.9736), 0x5014: f32(3.6827), 0x5016: f32(0.0),
    0x5018: f32(7.2909), 0x502A: f32(0.987), 0x6000: f32(900.0), 0x600C: f32(812.3457), 0x6018: f32(0.001),
}
ORNO = {
    0x0E: f32(230.2), 0x10: f32(229.87), 0x12: f32(231.456), 0x14: f32(50.01), 0x16: f32(15.998), 0x18: f32(0.0),
    0x1A: f32(31.5), 0x1C: f32(10.9736), 0x1E: f32(3.6827), 0x20: f32(0.0), 0x22: f32(7.2909),
    0x0100: f32(900.0), 0x0108: f32(654.321), 0x0110: f32(0.0),
}
EM24 = {**{address: words for address, words in EM340.items() if address < 0x30},
        0x0035: [0xFC18], 0x0037: [499], 0x0042: i32_low_word_first(7_654_321), 0x005C: i32_low_word_first(12)}
SDM72 = {0x0034: f32(10973.6), 0x0048: f32(812.3457), 0x004A: f32(1.5), 0x0156: f32(813.9)}
SDM230 = {**SDM120, 0x0000: f32(231.5), 0x0048: f32(16_777.217)}
ABB_B21 = {
    **{address: words for address, words in ABB_B23.items() if address < 0x5B00}, 0x5B00: u32(2305), 0x5B0C: u32(1601),
    0x5B14: u32(368_949), 0x5B16: u32(0x7FFFFFFF), 0x5B2C: [5001], 0x5B3A: [0xFC19], 0x8960: [0x4232, 0x3120],
}
COUNTIS_E3X = {**COUNTIS, 0xC55E: u32(4998), 0xC568: u32(1097), 0xC708: u32(7)}
REST_OF_METERS = {
    8: ("janitza-umg96", 3, JANITZA), 9: ("janitza-umg604", 3, UMG604), 10: ("inepro-pro380", 3, INEPRO),
    11: ("orno-we516", 3, ORNO), 12: ("em24-old", 4, EM24), 13: ("sdm72", 4, SDM72), 14: ("sdm230", 4, SDM230),
    15: ("abb-b21", 3, ABB_B21), 16: ("socomec-countis-e3x", 3, COUNTIS_E3X),
}
PHASES = {"voltagesV": [230.2, 229.87, 231.456], "currentsA": [15.998, 0, 31.5], "powersW": [3683, 0, 7291],
          "powerW": 10_974}
REST_EXPECTED = {
    8: {**PHASES, "registerWh": 8_123_456, "exportedWh": 123_456, "frequencyHz": 49.98},
    9: {**PHASES, "registerWh": 9_876_544, "exportedWh": 0, "frequencyHz": 50.02},
    10: {**PHASES, "registerWh": down(stored(812.3457)), "exportedWh": 1, "frequencyHz": 49.98, "powerFactor": 0.987},
    11: {**PHASES, "registerWh": down(stored(654.321)), "exportedWh": 0, "frequencyHz": 50.01},
    12: {"registerWh": 765_432_100, "exportedWh": 1200, "powerW": -3680, "voltagesV": [230.1, 230.2, 230.3],
         "currentsA": [16.001, 70, -0.001], "frequencyHz": 49.9, "powerFactor": -1},
    13: {"registerWh": down(stored(812.3457)), "exportedWh": 1500, "powerW": 10_974},
    14: {"registerWh": down(stored(16_777.217)), "exportedWh": 0, "powerW": 7299, "voltagesV": [231.5],
         "currentsA": [32], "frequencyHz": 50.02, "powerFactor": 1},
    15: {"registerWh": 42_949_672_990, "powerW": 3689, "voltagesV": [230.5], "currentsA": [16.01],
         "frequencyHz": 50.01, "powerFactor": -0.999},
    16: {"registerWh": 1_234_567_890, "exportedWh": 70, "powerW": 10_970, "voltagesV": [230.2, 229.87, 231.46],
         "currentsA": [15.998, 0, 31.5], "frequencyHz": 49.98},
}
EXPECTED = {
    1: {"registerWh": down(stored(812.3457)), "powerW": 10974, "voltagesV": [230.2, 229.87, 231.456],
        "currentsA": [15.998, 0, 31.5], "frequencyHz": 49.98, "powerFactor": nearest(Fraction("0.9876"), 3)},
    2: {"registerWh": down(stored(654.321)), "powerW": 7299, "voltagesV": [228.1], "currentsA": [32],
        "frequencyHz": 50.02, "powerFactor": 1},
    3: {"registerWh": 123_456_700, "powerW": -3680, "voltagesV": [230.1, 230.2, 230.3],
        "currentsA": [16.001, 70, -0.001], "frequencyHz": 50.1, "powerFactor": -1},
    4: {"registerWh": 42_949_672_990, "powerW": 3689, "voltagesV": [230.5, 229.9], "currentsA": [16.01, 0.03, 0],
        "frequencyHz": 50.01, "powerFactor": -0.999},
}


def context(meters):
    devices = {}
    for unit, (_, function, places) in meters.items():
        registers = [0] * (max(places) + 0x80)
        for address, words in places.items():
            registers[address:address + len(words)] = words
        # A block that begins at 1 serves wire address 0.
        block = ModbusSequentialDataBlock(1, registers)
        devices[unit] = ModbusDeviceContext(**{"ir" if function == 4 else "hr": block})
    return ModbusServerContext(devices=devices, single=False)


def in_background(coroutine):
    def run():
        asyncio.run(coroutine())
    threading.Thread(target=run, daemon=True).start()


def wait(is_ready):
    deadline = time.monotonic() + 10
    while not is_ready():
        assert time.monotonic() < deadline, "the meters are not ready after 10 s"
        time.sleep(0.02)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tcp_meters(meters):
    port = free_port()
    served = context(meters)
    in_background(lambda: StartAsyncTcpServer(served, address=("127.0.0.1", port)))
    wait(lambda: answers(port))
    return {"kind": "tcp", "host": "127.0.0.1", "port": port}


def configuration(folder, bus, meters):
    lines = [
        "stationID: CS-TEST", "csms: {url: 'ws://127.0.0.1:1/ocpp', securityProfile: 0}",
        "board: modbus-cabinet", f"profileDirectory: {ROOT}/hal/profiles", f"dataDirectory: {folder}",
        "buses:", "  - {name: meters, " + ", ".join(f"{k}: {v}" for k, v in bus.items()) + "}",
        "  - {name: control, kind: tcp, host: 127.0.0.1, port: 1}",
        "site: {fuseAmperes: 200}", "evses:",
    ]
    for connector, (unit, (profile, _, _)) in enumerate(sorted(meters.items()), 1):
        lines += [
            f"  - connector: {connector}", f"    meter: {{profile: {profile}, bus: meters, unit: {unit}}}",
            f"    contactor: {{bus: control, unit: 100, coil: {connector - 1}}}",
            f"    pilot: {{bus: control, unit: {100 + connector}}}",
            "    limits: {maximumAmperes: 32}",
            *(["    wiring: L1"] if profile in ("sdm120", "sdm230", "abb-b21") else []),
        ]
    path = folder / "edge.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path):
    result = subprocess.run(
        [BIN / "kerb-edge", "read", "--config", path, "--json"], capture_output=True, text=True, timeout=60)
    assert result.stdout, result.stderr
    rows = json.loads(result.stdout)
    return {row["connector"]: row["meter"] for row in rows}, result.returncode


def check(found, expected):
    for key, value in expected.items():
        assert found[key] == value, (key, found)
    assert found["quality"] == "good" or "L3" in found["quality"], found
    assert found["ageMilliseconds"] < 10_000


def test_every_profile_is_read_here():
    profiles = {path.stem for path in (ROOT / "hal" / "profiles" / "meters").glob("*.yaml")}
    assert {name for name, _, _ in (*METERS.values(), *MORE_METERS.values(), *REST_OF_METERS.values())} == profiles


def test_four_meters_over_tcp_to_the_digit(tmp_path):
    path = configuration(tmp_path, tcp_meters(METERS), METERS)
    found, code = read(path)
    assert code == 0
    for connector, expected in EXPECTED.items():
        check(found[connector], expected)


def test_every_other_encoding_over_tcp_to_the_digit(tmp_path):
    meters = {**MORE_METERS, **REST_OF_METERS}
    found, code = read(configuration(tmp_path, tcp_meters(meters), meters))
    assert code == 0, found
    for connector, expected in {**MORE_EXPECTED, **REST_EXPECTED}.items():
        check(found[connector], expected)


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat makes the pair of pseudo-terminals")
def test_four_meters_over_rtu_on_a_pty_pair_to_the_digit(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    wire = subprocess.Popen(["socat", f"pty,raw,echo=0,link={ours}", f"pty,raw,echo=0,link={theirs}"])
    try:
        wait(lambda: ours.exists() and theirs.exists())
        served = context(METERS)
        in_background(lambda: StartAsyncSerialServer(
            served, framer=FramerType.RTU, port=str(theirs), baudrate=9600, parity="N", stopbits=1))
        path = configuration(tmp_path, {"kind": "rtu", "device": ours, "baud": 9600}, METERS)
        # The server says nowhere when it has opened its end: the first readings may come too early.
        for _ in range(5):
            found, code = read(path)
            if code == 0:
                break
        assert code == 0, found
        for connector, expected in EXPECTED.items():
            check(found[connector], expected)
    finally:
        wire.terminate()
        wire.wait()


def test_sixteen_random_float_counters_are_rounded_down_exactly(tmp_path):
    dice = random.Random(20261121)
    counters = [dice.uniform(0, 10 ** dice.randint(0, 6)) for _ in range(16)]
    meters = {
        unit: ("sdm120", 4, {**SDM120, 0x0048: f32(value)}) for unit, value in enumerate(counters, 1)
    }
    found, code = read(configuration(tmp_path, tcp_meters(meters), meters))
    assert code == 0
    for connector, value in enumerate(counters, 1):
        assert found[connector]["registerWh"] == down(stored(value)), value


def test_a_meter_without_a_value_is_an_error_and_never_a_zero(tmp_path):
    meters = {
        1: ("sdm120", 4, {**SDM120, 0x0048: [0x7FC0, 0]}),
        2: ("abb-b23", 3, {**ABB_B23, 0x5000: u64(0xFFFFFFFFFFFFFFFF)}),
        3: ("em340", 4, {**EM340, 0x0034: i32_low_word_first(0x7FFFFFFF)}),
        # Words swapped inside the meter: the voltage shows it.
        4: ("sdm120", 4, {address: list(reversed(words)) for address, words in SDM120.items()}),
    }
    found, code = read(configuration(tmp_path, tcp_meters(meters), meters))
    assert code == 7
    for connector in meters:
        assert "registerWh" not in found[connector], found[connector]
        assert found[connector]["error"], found[connector]
    assert "voltageL1" in found[4]["error"] or "energyImport" in found[4]["error"]


def probe(path, units):
    result = subprocess.run(
        [BIN / "kerb-edge", "probe", "meters", "--units", units, "--config", path, "--json"],
        capture_output=True, text=True, timeout=120)
    return {row["unit"]: row for row in json.loads(result.stdout)}


def test_probe_tells_which_meter_answers(tmp_path):
    meters = {**METERS, **{unit + 4: meter for unit, meter in MORE_METERS.items()}}
    path = configuration(tmp_path, tcp_meters(meters), meters)
    found = probe(path, "1-11")
    for unit, (profile, _, _) in meters.items():
        # Only its plate tells an SDM630 on one phase from an SDM120.
        assert found[unit]["profiles"][0] == profile, found[unit]
        assert len(found[unit]["profiles"]) == 1 or profile == "sdm120", found[unit]
        assert f"profile: {profile}, bus: meters, unit: {unit}" in found[unit]["edge"][-1]
    assert [found[unit]["certain"] for unit in (4, 7)] == [True, True]
    assert (found[7]["model"], found[7]["serial"]) == ("iEM3255", "21000001")
    assert found[6]["serial"] == "17000321"
