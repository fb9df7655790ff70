"""`kerb-cpo` signs the certificate of a `kerb-edge`, which comes by mutual TLS from then on and has it renewed."""
import http.client
import json
import signal
import subprocess

from edge_site import BIN, ENVIRONMENT, EdgeSite
from enrolment_site import Authority, until
from ports import free_port

PASSWORD = "authority-test-16"


class Operator:
    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority(folder, "operator")
        self.plain, self.port = free_port(), free_port()
        self.configuration = folder / "cpo.yaml"
        self.configuration.write_text(f"""\
listeners:
  - {{name: main, port: {self.plain}, serves: [console, api]}}
  - name: stations
    port: {self.port}
    serves: [ocpp]
    tls: {{certificateFile: {self.authority.chain}, keyFile: {self.authority.server_key}, clientCAFile: {folder}/authority/authority.pem}}
    clientCertificates: optional
database: sqlite:{folder}/kerb.sqlite
party: {{countryCode: IN, partyID: KRB, name: Test}}
ocpp: {{unknownStations: refuse, caFile: {self.authority.ca}, connectsAnHour: 0}}
authority: {{folder: {folder}/authority}}
drainSeconds: 0
""")
        self.process = None

    def cpo(self, *words):
        return subprocess.run(
            [str(BIN / "kerb-cpo"), *words, "--config", str(self.configuration)], capture_output=True, text=True,
            env=ENVIRONMENT, timeout=60)

    def start(self):
        with open(self.folder / "cpo.log", "ab") as log:
            self.process = subprocess.Popen(
                [str(BIN / "kerb-cpo"), "serve", "--config", str(self.configuration)], stdout=log, stderr=log,
                env=ENVIRONMENT)
        until(self.is_ready)

    def is_ready(self):
        assert self.process.poll() is None, (self.folder / "cpo.log").read_text()
        try:
            return self.call("GET", "/stations")[0] == 200
        except OSError:
            return False

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.plain, timeout=40)
        connection.request(method, "/api/v1" + path, None if body is None else json.dumps(body),
                           {"Authorization": f"Bearer {self.key}"})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def order(self, body, station="PEER-1"):
        status, answer = self.call("POST", f"/stations/{station}/commands?wait=20", body)
        assert status == 200, answer
        return answer

    def used(self, station="PEER-1"):
        """Certificates that the station came with, newest first."""
        status, found = self.call("GET", f"/stations/{station}/certificates")
        assert status == 200
        return [one for one in found["items"] if "usedAt" in one]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


def test_a_board_gets_its_certificate_and_has_it_renewed(tmp_path):
    operator = Operator(tmp_path)
    made = operator.cpo("authority", "make")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "authority" / "authority.key").stat().st_mode & 0o777 == 0o600
    assert operator.cpo("authority", "make").returncode == 1
    operator.key = operator.cpo("key", "add", "test", "--role", "admin").stdout.split()[-1]
    operator.start()
    site = None
    try:
        status, _ = operator.call("PUT", "/stations/PEER-1", {"registration": "Accepted", "password": PASSWORD})
        assert status == 200
        (tmp_path / "edge").mkdir()
        site = EdgeSite(tmp_path / "edge", 1)
        (site.folder / "password").write_text(PASSWORD)
        (site.folder / "password").chmod(0o600)
        path = site.folder / "edge.yaml"
        path.write_text(path.read_text().replace(
            "  url: ws://127.0.0.1:1/ocpp\n  securityProfile: 0\n",
            f"  url: wss://127.0.0.1:{operator.port}/ocpp\n  securityProfile: 2\n"
            f"  passwordFile: {site.folder}/password\n  caFile: {operator.authority.ca}\n"))
        site.start()
        online = lambda: operator.call("GET", "/stations/PEER-1")[1]["online"]
        until(online)
        trigger = {"command": "extendedTrigger", "message": "SignChargePointCertificate"}
        assert operator.order(trigger)["state"] == "seen"
        signed = lambda: operator.call("GET", "/stations/PEER-1/certificates")[1]["items"]
        until(signed)
        until(lambda: any(
            one["command"] == "certificateSigned" and one["state"] == "seen"
            for one in operator.call("GET", "/commands?station=PEER-1")[1]["items"]))
        answer = operator.order({"command": "changeSetting", "key": "SecurityProfile", "value": "3"})
        assert answer["answer"] in ("Accepted", "RebootRequired")
        first = until(operator.used, 60)[0]
        until(online)
        # The next one: what the daily look at the dates does by itself.
        assert operator.order(trigger)["state"] == "seen"
        second = until(lambda: next((one for one in operator.used() if one["fingerprint"] != first["fingerprint"]), None), 60)
        assert second["serial"] != first["serial"]
        until(lambda: any(
            one.get("reason") == "replaced" for one in signed() if one["fingerprint"] == first["fingerprint"]))
        until(online)
        # A revoked one opens no door, not even to who has its key.
        status, _ = operator.call("DELETE", f"/stations/PEER-1/certificates/{second['fingerprint']}")
        assert status == 204
        until(lambda: any(
            one["reason"] == "the client certificate was replaced or revoked"
            for one in operator.call("GET", "/refusals")[1]["items"]), 60)
        assert PASSWORD not in (tmp_path / "cpo.log").read_text()
    except BaseException:
        if site:
            print(site.logs())
        print((tmp_path / "cpo.log").read_text()[-6000:])
        raise
    finally:
        if site:
            site.stop()
        operator.stop()
