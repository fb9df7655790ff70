"""Ports that nobody has now and that the kernel gives nobody by itself."""
import random
import socket

# Below Linux's range for outgoing connections (32768 on), one of which would take a port between the look and
# the use; below those of `test_journey`.
FIRST, LAST = 20_000, 27_000


def free_port(neighbours=1):
    """The first of `neighbours` in a row."""
    while True:
        first = random.randrange(FIRST, LAST - neighbours)
        held = []
        try:
            for port in range(first, first + neighbours):
                held.append(socket.socket())
                held[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for one in held:
                one.close()
