"""pymodbus plays the pilot controllers of every board that has one on Modbus: whole charges of `kerb-edge
run`, and for each which function, address and value it was asked with.

Registers stand here as the vendors' tables and evcc have them, not as Kerb's profiles do. Relay card,
meters and the current that flows are kerb-sim's.
"""
import asyncio
import concurrent.futures
import logging
import socket
import threading
import time

import pytest
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import StartAsyncTcpServer

from edge_site import EdgeSite, free_port

READ_COIL, READ_HOLDING, READ_INPUT, WRITE_COIL, WRITE_ONE, WRITE_LIST = 1, 3, 4, 5, 6, 16
LETTERS, NUMBERS = {"A": 0x41, "B": 0x42, "C": 0x43}, {"A": 1, "B": 2, "C": 3}


def high(letter):
    return LETTERS[letter] << 8


class Board:
    """Where one outlet's controller has what. `outlets` are unit and further keys of `pilot:`."""

    def __init__(self, name, outlets, state, spelling, current, factor=1, enable=None, more=None, step=0):
        self.name, self.outlets, self.state, self.spelling = name, outlets, state, spelling
        self.current, self.factor, self.enable, self.more, self.step = current, factor, enable, more or {}, step

    def offset(self, connector):
        return self.step * (connector - 1)


TWO = ({"unit": 1}, {"unit": 2})
BOARDS = [
    Board("modbus-cabinet", TWO, (READ_HOLDING, 1002), NUMBERS.get, (WRITE_ONE, 1000), 100,
          more={1005: 18, 2005: 0x80}),  # a firmware that knows hundredths, and is set to them
    Board("phoenix-ev-cc-serial", TWO, (READ_INPUT, 24000), high, (WRITE_ONE, 22000), enable=(WRITE_COIL, 20000)),
    Board("phoenix-em-cp-pp-eth", ({"unit": 180}, {"unit": 181}), (READ_INPUT, 100), LETTERS.get, (WRITE_ONE, 300),
          enable=(WRITE_COIL, 400)),
    Board("phoenix-ev-cc-eth", ({"unit": 255}, {"unit": 1}), (READ_INPUT, 100), LETTERS.get, (WRITE_ONE, 528),
          enable=(WRITE_COIL, 400)),
    Board("phoenix-ev-cc-eth-wallbe", ({"unit": 255}, {"unit": 1}), (READ_INPUT, 100), LETTERS.get,
          (WRITE_ONE, 528), 10, enable=(WRITE_COIL, 400)),
    Board("phoenix-charx", ({"unit": 1, "port": 1}, {"unit": 1, "port": 2}), (READ_HOLDING, 1299), high,
          (WRITE_LIST, 1301), enable=(WRITE_LIST, 1300), step=1000),
]


class Controllers:
    """The controllers of one board on a line of their own; every request is kept."""

    def __init__(self, board):
        self.board, self.port, self.requests = board, free_port(), []
        self.states = {}
        for connector in (1, 2):
            self.show(connector, "B")
        holding = [0] * 24_100
        for connector in (1, 2):
            # What somebody left there: full current, switched off.
            holding[board.current[1] + board.offset(connector)] = 32 * board.factor
        for address, value in board.more.items():
            holding[address] = value
        # A block that begins at 1 serves wire address 0.
        served = ModbusServerContext(single=False, devices={
            outlet["unit"]: ModbusDeviceContext(
                hr=ModbusSequentialDataBlock(1, holding), ir=ModbusSequentialDataBlock(1, [0] * 24_100),
                co=ModbusSequentialDataBlock(1, [False] * 24_100))
            for outlet in board.outlets})
        threading.Thread(target=lambda: asyncio.run(StartAsyncTcpServer(
            served, address=("127.0.0.1", self.port), trace_pdu=self.trace)), daemon=True).start()
        until(self.answers, "the controllers answer")

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def trace(self, sending, pdu):
        """Keeps what is asked; the state goes into the answer, so that a car comes and leaves at once."""
        if sending:
            unit, function, address, _ = self.requests[-1]
            for at, value in enumerate(pdu.registers if function in (READ_HOLDING, READ_INPUT) else []):
                pdu.registers[at] = self.states.get((unit, function, address + at), value)
        else:
            values = [pdu.bits[0]] if pdu.function_code == WRITE_COIL else list(pdu.registers)
            self.requests.append((pdu.dev_id, pdu.function_code, pdu.address, values))
        return pdu

    def show(self, connector, state):
        function, address = self.board.state
        place = self.board.outlets[connector - 1]["unit"], function, address + self.board.offset(connector)
        self.states[place] = self.board.spelling(state)

    def asked(self, connector, function, address):
        unit, address = self.board.outlets[connector - 1]["unit"], address + self.board.offset(connector)
        return [values for to, code, at, values in list(self.requests)
                if (to, code) == (unit, function) and at == address]


def until(holds, what, seconds=40):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def site_of(board, folder, controllers):
    folder.mkdir()
    site = EdgeSite(folder, csms_port=1)
    path = folder / "edge.yaml"
    text = path.read_text().replace("board: modbus-cabinet", f"board: {board.name}")
    text = text.replace("evses:\n", "  - {name: pilots, kind: tcp, host: 127.0.0.1, port: "
                        f"{controllers.port}}}\nfreeVend: {{enabled: true}}\nevses:\n")
    for connector, (unit, outlet) in enumerate(zip((11, 12), board.outlets), 1):
        keys = ", ".join(f"{key}: {value}" for key, value in outlet.items())
        text = text.replace(f"pilot: {{bus: control, unit: {unit}}}", f"pilot: {{bus: pilots, {keys}}}")
    path.write_text(text)
    return site


def charge(board, folder):
    """Two cars are offered current, take it and leave."""
    controllers = Controllers(board)
    site = site_of(board, folder, controllers)
    try:
        site.start()

        def told(connector, kind):
            return (controllers.asked(connector, *kind) or [[None]])[-1][0]

        def offers(connector):
            return 6 * board.factor <= (told(connector, board.current) or 0) <= 32 * board.factor

        def is_on(connector):
            return offers(connector) if board.enable is None else told(connector, board.enable) in (True, 1)

        def is_closed(connector):
            return site.evse(connector)["contactor"]["isClosed"]

        until(lambda: all(offers(one) and is_on(one) for one in (1, 2)), f"{board.name} offers current")
        assert not is_closed(1) and not is_closed(2), "the cars are in B"
        # Where the state stands is told by what follows from it.
        controllers.show(1, "C")
        until(lambda: is_closed(1), f"{board.name} has its car in C")
        assert not is_closed(2), "the state of one is the state of both"
        controllers.show(2, "C")
        until(lambda: is_closed(2), f"{board.name} has both cars in C")
        for connector in (1, 2):
            controllers.show(connector, "A")
        until(lambda: not is_closed(1) and not is_closed(2), f"{board.name} is left by its cars")
        until(lambda: not is_on(1) and not is_on(2), f"{board.name} offers nothing")
        return controllers
    except BaseException:
        print(site.logs(), *controllers.requests[-40:], sep="\n")
        raise
    finally:
        site.stop()


def test_every_controller_is_asked_and_told_where_its_table_says(tmp_path):
    logging.getLogger("pymodbus.logging").setLevel(logging.ERROR)  # each frame costs more than its answer
    # Two at a time: a controller that answers after 300 ms is silent.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = {board.name: pool.submit(charge, board, tmp_path / board.name) for board in BOARDS}
    for board in BOARDS:
        controllers = runs[board.name].result()
        units = {outlet["unit"] for outlet in board.outlets}
        assert {request[0] for request in controllers.requests} == units
        # Nothing else is ever written.
        written = {(code, at) for _, code, at, _ in controllers.requests if code not in (1, 2, 3, 4)}
        assert written == {
            (kind[0], kind[1] + board.offset(connector))
            for connector in (1, 2) for kind in (board.current, board.enable) if kind}, board.name
