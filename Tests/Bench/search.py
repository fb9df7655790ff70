"""A Beckn app that searches as fast as it is answered, and counts what it is called back with.

Signs with PyPI's `cryptography`. Prints one JSON object, with the server's CPU time per search from
the request to its callback.
    search.py PORT OWN_PORT PID SEED_HEX SEARCHES ROUND
"""

import base64
import hashlib
import http.client
import json
import queue
import random
import sys
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

WORKERS = 8
RADIUS_KM = 3
WAIT_SECONDS = 60
ACK = b'{"message":{"ack":{"status":"ACK"}}}'


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sizes = []
    items = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(ACK)))
        self.end_headers()
        self.wfile.write(ACK)
        self.sizes.append(len(body))
        if len(self.items) < 20:
            catalogue = json.loads(body)["message"]["catalog"]
            self.items.append(sum(len(p["items"]) for p in catalogue["providers"]))

    def log_message(self, *_):
        pass


def cpu_seconds(pid):
    total = 0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        total += int(file.read_text().split()[0])
    return total / 1e9


def request(number, own_port, key, dice):
    place = f"{28.1 + dice.random() * 0.8:.4f},{76.6 + dice.random() * 0.8:.4f}"
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    radius = {"type": "CONSTANT", "value": str(RADIUS_KM), "unit": "km"}
    where = {"type": "start", "location": {"circle": {"gps": place, "radius": radius}}}
    body = json.dumps({
        "context": {
            "domain": "ev-charging:uei", "action": "search", "version": "1.1.0",
            "bap_id": "bap.bench", "bap_uri": f"http://127.0.0.1:{own_port}",
            "transaction_id": f"{number:08x}-0000-4000-8000-000000000000",
            "message_id": f"{number:08x}-0000-4000-9000-000000000000",
            "timestamp": now, "ttl": "PT30S",
        },
        "message": {"intent": {"fulfillment": {
            "stops": [where],
            "tags": [{"descriptor": {"code": "connector-specifications"}, "list": [
                {"descriptor": {"code": "connector-type"}, "value": "IEC_62196_T2"}]}],
        }}},
    }).encode()
    created = int(time.time())
    expires = created + 60
    digest = base64.b64encode(hashlib.blake2b(body, digest_size=64).digest()).decode()
    line = f"(created): {created}\n(expires): {expires}\ndigest: BLAKE-512={digest}"
    signature = base64.b64encode(key.sign(line.encode())).decode()
    header = (
        f'Signature keyId="bap.bench|bench|ed25519",algorithm="ed25519",created="{created}",'
        f'expires="{expires}",headers="(created) (expires) digest",signature="{signature}"'
    )
    return body, {"Authorization": header, "Content-Type": "application/json"}


def work(port, waiting, refused):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    while True:
        try:
            body, headers = waiting.get_nowait()
        except queue.Empty:
            return connection.close()
        connection.request("POST", "/beckn/search", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200 or b'"ACK"' not in text:
            refused.append(f"{answer.status} {text[:300]!r}")


def main():
    port, own_port, pid, count, round_number = (int(sys.argv[i]) for i in (1, 2, 3, 5, 6))
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sys.argv[4]))
    server = ThreadingHTTPServer(("127.0.0.1", own_port), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    waiting, refused, dice = queue.SimpleQueue(), [], random.Random(1)
    for number in range(count):
        waiting.put(request(round_number * count + number, own_port, key, dice))
    before, start = cpu_seconds(pid), time.monotonic()
    workers = [threading.Thread(target=work, args=(port, waiting, refused)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    while len(Answers.sizes) < count - len(refused) and time.monotonic() < start + WAIT_SECONDS:
        time.sleep(0.02)
    spent, elapsed = cpu_seconds(pid) - before, time.monotonic() - start
    print(json.dumps({
        "answers": len(Answers.sizes), "errors": len(refused), "first_errors": refused[:3],
        "server_us": spent * 1e6 / max(len(Answers.sizes), 1), "seconds": elapsed,
        "bytes": sum(Answers.sizes) / max(len(Answers.sizes), 1),
        "items": sum(Answers.items) / max(len(Answers.items), 1),
    }))
    sys.exit(len(Answers.sizes) < count)


main()
