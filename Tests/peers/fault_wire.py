"""A serial line that damages what passes: two pseudo-terminals and a thread between them.

What goes to the slaves passes untouched. What they answer goes through `fault`, a function from a
frame to the pieces that arrive instead; a number among them is a wait in seconds.
"""
import os
import pty
import select
import struct
import threading
import time
import tty


def check_sum(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


def sealed(body):
    return body + check_sum(body)


def whole(frame):
    return [frame]


def silence(_):
    return []


def wrong_unit(frame):
    return [sealed(bytes([frame[0] + 1]) + frame[1:-2])]


def wrong_check_sum(frame):
    return [frame[:-1] + bytes([frame[-1] ^ 0xFF])]


def truncated(frame):
    return [frame[:-3]]


def split(frame):
    return [frame[:len(frame) // 2], 0.03, frame[len(frame) // 2:]]


def exception(code):
    return lambda frame: [sealed(bytes([frame[0], frame[1] | 0x80, code]))]


def late(seconds):
    return lambda frame: [seconds, frame]


def replaced(exchanges):
    """Other registers than the slave told, in a sound frame."""
    def fault(frame):
        body = frame[:-2]
        for old, new in exchanges:
            body = body.replace(old, new)
        return [sealed(body)]
    return fault


class FaultyWire:
    """`ours` is the agent's end, `theirs` the slaves'; both are links, as udev makes them."""

    def __init__(self, folder):
        self.ours, self.theirs = folder / "ours", folder / "theirs"
        self.fault = whole
        self._near = None
        self._wish = "plugged"
        self._is_over = False
        # The slave side is held open, or the master reports a hang-up until somebody opens it.
        self._far = self._open(self.theirs)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._wait(lambda: self._near)

    def unplug(self):
        self._wish = "unplugged"
        self._wait(lambda: not self._near)

    def plug_in(self):
        self._wish = "plugged"
        self._wait(lambda: self._near)

    def stop(self):
        self._is_over = True
        self._thread.join()

    def _open(self, link):
        master, slave = pty.openpty()
        tty.setraw(master)
        tty.setraw(slave)
        if link.is_symlink():
            link.unlink()
        link.symlink_to(os.ttyname(slave))
        return master, slave

    def _run(self):
        while not self._is_over:
            if self._wish == "unplugged" and self._near:
                self.ours.unlink()
                near, self._near = self._near, None
                for descriptor in near:
                    os.close(descriptor)
            if self._wish == "plugged" and not self._near:
                self._near = self._open(self.ours)
            masters = [end[0] for end in (self._near, self._far) if end]
            for master in select.select(masters, [], [], 0.02)[0]:
                data = os.read(master, 512)
                if self._near and master == self._near[0]:
                    os.write(self._far[0], data)
                else:
                    self._answer(data)

    def _answer(self, frame):
        # A frame may come in pieces; the line is silent behind it.
        while select.select([self._far[0]], [], [], 0.01)[0]:
            frame += os.read(self._far[0], 512)
        for piece in self.fault(frame):
            if isinstance(piece, float):
                time.sleep(piece)
            elif self._near:
                os.write(self._near[0], piece)

    @staticmethod
    def _wait(is_there):
        deadline = time.monotonic() + 10
        while not is_there():
            assert time.monotonic() < deadline, "the wire does not follow"
            time.sleep(0.005)
