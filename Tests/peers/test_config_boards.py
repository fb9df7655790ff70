"""What `kerb-edge config check` says of the hardware that a configuration names: ports, readers, boards, lines."""
import os
import pathlib
import re
import shutil

from test_config_check import ROOT, check, edge_text, folder, place, replaced  # noqa: F401  (folder is a fixture)


def test_a_port_or_reader_that_is_not_there_is_told_with_those_that_are(folder):
    """It may be plugged into another machine than this one: told, and no mistake."""
    file = folder / "edge.yaml"
    text = edge_text(lambda text: text.replace(
        "    meter: {profile: sdm630", "    tokenReader: /dev/kerb-reader\n    meter: {profile: sdm630", 1).replace(
        "/dev/kerb-b", str(folder / "port")) + f"tokenReader: {folder}/all\n")
    os.mkfifo(folder / "all")
    (folder / "port").touch()
    file.write_text(text)
    done = check("kerb-edge", file)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if "is not there" in line]
    assert len(told) == 2, done.stdout
    for line, key, path, mend in zip(
            told, ("buses[0].device", "evses[0].tokenReader"), ("/dev/kerb-a", "/dev/kerb-reader"),
            ("plug the adapter in", "plug the reader in")):
        assert line.startswith(f"{file}:{place(text, path)}: `{key}`: {path} is not there; {mend}"), line
    known = [path for folder in ("/dev/kerb", "/dev/serial/by-path") for path in pathlib.Path(folder).glob("*")]
    assert all(str(path) in told[0] for path in known) and (known or "no serial port is there at all" in told[0])


# What each kind of board wants besides: of an outlet, of the whole file. `{n}` is the connector's number.
RELAY = "    contactor: {{bus: control, unit: 1, coil: {n}}}\n"
PILOT = "    pilot: {{bus: control, unit: 1{n}}}\n"
BOARDS = {
    "gpio-pilot": ("", ""),
    "modbus-cabinet": (RELAY + PILOT, ""),
    "modbus-cabinet-no-pulse": (RELAY + PILOT, "acceptNoDeadman: true\n"),
    "phoenix-charx": (RELAY + PILOT, ""),
    "phoenix-em-cp-pp-eth": (RELAY + PILOT, ""),
    "phoenix-ev-cc-eth": (RELAY + PILOT, ""),
    "phoenix-ev-cc-eth-wallbe": (RELAY + PILOT, ""),
    "phoenix-ev-cc-serial": (RELAY + PILOT, ""),
    "raspberry-relay-hat": (PILOT, ""),
    "raspberry-relay-hat-bare": (PILOT, "acceptNoDeadman: true\n"),
    "split-safety-mcu": ("", ""),
}
WITHOUT_HARDWARE = {"simulator"}


def test_every_board_that_is_shipped_passes(folder):
    shipped = {file.stem for file in (ROOT / "hal/profiles/boards").glob("*.yaml")}
    assert shipped == set(BOARDS) | WITHOUT_HARDWARE
    for board, (outlet, more) in BOARDS.items():
        text = re.sub(r"    (contactor|pilot):\n(      .*\n)+", "", edge_text(replaced("modbus-cabinet", board))) + more
        # Boards without a pattern in their names have one outlet.
        text = text[:text.index("  - connector: 2")] + text[text.index("site:"):]
        text = text.replace("    meter: {profile: sdm630", outlet.format(n=1) + "    meter: {profile: sdm630")
        file = folder / f"{board}.yaml"
        file.write_text(text)
        done = check("kerb-edge", file)
        has_lines = "\ngpio:" in (ROOT / f"hal/profiles/boards/{board}.yaml").read_text()
        # On a machine with chips these are none of the board's: a name that is looked up there is a mistake.
        has_chips = any(pathlib.Path("/dev").glob("gpiochip*"))
        if has_lines and has_chips:
            assert done.returncode == 2 and "GPIO" in done.stderr, (board, done)
            continue
        assert done.returncode == 0 and "fine; 1 outlets on 2 buses" in done.stdout, (board, done)
        assert ("no GPIO chip on this machine" in done.stdout) == has_lines, (board, done)


def test_a_line_that_is_not_to_be_had_is_told_where_it_is_named(folder):
    file = folder / "edge.yaml"
    text = edge_text(lambda text: text.replace("board: modbus-cabinet", "board: raspberry-relay-hat"))
    for contactor in "    contactor:\n      bus: control\n      unit: 1\n      coil: 0\n", \
            "    contactor:\n      bus: control\n      unit: 1\n      coil: 1\n":
        assert contactor in text
        text = text.replace(contactor, "    lines: {contactor: GPIO17, kick: GPIO17}\n", 1)
    file.write_text(text)
    done = check("kerb-edge", file)
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith(
        f"{file}:{place(text, 'GPIO17}')}: `evses[0].lines.kick`: line GPIO17 is connector 1's contactor already"), done.stderr


def hat(change=lambda text: text):
    """Two outlets on a relay HAT, whose lines have one outlet's names."""
    def without_cards(text):
        for coil in 0, 1:
            text = text.replace(f"    contactor:\n      bus: control\n      unit: 1\n      coil: {coil}\n", "", 1)
        return text.replace("board: modbus-cabinet", "board: raspberry-relay-hat")
    return edge_text(lambda text: change(without_cards(text)))


OWN = "    lines: {buzzer: none, contactor: GPIO3, kick: GPIO4, lightBlue: GPIO7, lightGreen: GPIO8, lightRed: GPIO9, " \
    "mirror: GPIO10, residualCurrentTest: GPIO11%s}\n    wiring: L2\n"


def test_a_second_outlet_on_a_hat_is_told_all_it_lacks_at_once(folder):
    file = folder / "edge.yaml"
    text = hat()
    file.write_text(text)
    done = check("kerb-edge", file)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith(f"{file}:{place(text, 'connector: 2')}: `evses[1].lines`: "), done.stderr
    assert "`lines: {buzzer: none, contactor: …, kick: …, lightBlue: none, lightGreen: none, lightRed: none, " \
        "mirror: …, residualCurrentTest: …}`" in done.stderr
    # With all of them named, each once, nothing is left.
    file.write_text(hat(lambda text: text.replace("    wiring: L2\n", OWN % "", 1)))
    done = check("kerb-edge", file)
    assert done.returncode == 0 or any(pathlib.Path("/dev").glob("gpiochip*")), done.stderr
    # What is not only for show cannot be done without.
    file.write_text(hat(lambda text: text.replace("    wiring: L2\n", (OWN % "").replace("GPIO3", "none"), 1)))
    done = check("kerb-edge", file)
    assert done.returncode == 2 and "`evses[1].lines.contactor`: only lights and the buzzer" in done.stderr, done.stderr


def test_pilot_keys_of_a_board_that_has_none_on_a_bus_are_warned_of(folder):
    file = folder / "edge.yaml"
    text = hat().replace("raspberry-relay-hat", "split-safety-mcu").replace(
        "    pilot:\n", "    contactor: {unit: 1}\n    pilot:\n", 1)
    file.write_text(text)
    done = check("kerb-edge", file)
    # On a machine with chips its lines are looked up there, and the warnings are not reached.
    if any(pathlib.Path("/dev").glob("gpiochip*")):
        return
    assert done.returncode == 0, done.stderr
    told = done.stderr.splitlines()
    assert [line.split("`")[1] for line in told] == [
        "evses[0].contactor.unit", "evses[0].pilot.bus", "evses[0].pilot.unit", "evses[1].pilot.bus",
        "evses[1].pilot.unit"]
    assert all(line.startswith("warning: ") for line in told), told
    assert "has its contactors on lines; remove it" in told[0], told
    assert all("leaves the pilot to its safety controller, no bus does; remove `pilot`" in line for line in told[1:])


def test_a_meter_that_tells_no_current_is_only_warned_of_on_three_phases(folder):
    profiles = folder / "profiles"
    shutil.copytree(ROOT / "hal/profiles", profiles)
    meter = profiles / "meters/sdm120.yaml"
    meter.write_text(re.sub("  currentL1: .*\n", "", meter.read_text()))
    file = folder / "edge.yaml"
    text = re.sub("profileDirectory: .*", f"profileDirectory: {profiles}", edge_text(replaced("wiring: L2", "wiring: STR")))
    file.write_text(text)
    done = check("kerb-edge", file)
    assert done.returncode == 0, done.stderr
    said = "`evses[1].wiring`: the meter sdm120 sees one phase, and the outlet has STR"
    assert done.stderr.startswith(f"warning: {file}:{place(text, 'STR')}: {said}"), done.stderr


def test_outlets_on_one_residual_current_sensor_share_both_its_lines(folder):
    """Else the test of one would pulse the other's line, and latch a ground failure there."""
    profiles = folder / "profiles"
    shutil.copytree(ROOT / "hal/profiles", profiles)
    board = profiles / "boards/raspberry-relay-hat.yaml"
    trip = "    residualCurrentTrip: {name: GPIO6, bias: pullUp}\n"
    assert trip in board.read_text()
    board.write_text(board.read_text().replace(trip, trip + "    directCurrentTrip: {name: GPIO19, bias: pullUp}\n"))
    file = folder / "edge.yaml"
    file.write_text(hat(lambda text: re.sub(
        "profileDirectory: .*", f"profileDirectory: {profiles}",
        text.replace("    wiring: L2\n", OWN % ", residualCurrentTrip: GPIO27", 1))))
    done = check("kerb-edge", file)
    assert done.returncode == 2 and "connectors 1 and 2 share one of `residualCurrentTrip`" in done.stderr, done
