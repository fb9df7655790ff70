"""Security profiles 2 and 3 against a `kerb-cpo` with TLS: certificates of PyPI `cryptography`, sockets of
`websockets`, which verify the server's. A valid certificate of another station opens nothing.
"""
import asyncio
import base64
import datetime
import ipaddress
import json
import ssl

import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cpo_server import free_port
from test_ocpp16_links import BOOT, NEW, OLD, Operator, ask, run


class Authority:
    def __init__(self, folder, name):
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.certificate = self.sign(self.name, self.key, authority=True)
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, subject, key, authority=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(self.key, hashes.SHA256()))

    def issue(self, common_name, organisation="Test"):
        """Files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
        chain, secret = self.folder / f"{common_name}.pem", self.folder / f"{common_name}-key.pem"
        chain.write_bytes(self.sign(subject, key).public_bytes(serialization.Encoding.PEM))
        secret.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        secret.chmod(0o600)
        return chain, secret


@pytest.fixture
def site(tmp_path):
    authority = Authority(tmp_path, "authority")
    chain, key = authority.issue("server")
    port = free_port()
    operator = Operator(tmp_path, listeners=f"""
  - {{name: stations, port: {port}, serves: [ocpp], clientCertificates: optional, tls: {{certificateFile: {chain}, \
keyFile: {key}, clientCAFile: {authority.file}}}}}""", ocpp="  certificateOrganisation: test\n")
    operator.tls, operator.authority = port, authority
    yield operator
    operator.stop()


async def knock(site, station, files=None, password=None, trust=None):
    """How a station is received that knows the operator's authority, or only `trust`."""
    context = ssl.create_default_context(cafile=str((trust or site.authority).file))
    if files:
        context.load_cert_chain(*map(str, files))
    headers = {}
    if password:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{station}:{password}".encode()).decode()
    try:
        async with websockets.connect(
                f"wss://127.0.0.1:{site.tls}/ocpp/{station}", ssl=context, subprotocols=["ocpp1.6"],
                additional_headers=headers) as socket:
            return (await ask(socket, BOOT))[2]["status"]
    except websockets.InvalidStatus as refused:
        return refused.response.status_code


def test_087_a_certificate_opens_its_own_station_alone(site):
    async def prove():
        for station in ("TLS-1", "TLS-2"):
            await site.call("PUT", f"/stations/{station}", {"registration": "Accepted"})
            await site.call("PUT", f"/stations/{station}/access", {"securityProfile": 3, "overlapHours": 0})
        files = site.authority.issue("TLS-1")
        assert await knock(site, "TLS-1", files) == "Accepted"
        assert await knock(site, "TLS-2", files) == 403
        assert await knock(site, "TLS-1", site.authority.issue("TLS-1", "Another operator")) == 403
        assert await knock(site, "TLS-1", None) == 403
        # A serial number as common name, where the operator says so.
        await site.call("PUT", "/stations/TLS-2/access", {"certificateName": "SERIAL-77"})
        assert await knock(site, "TLS-2", site.authority.issue("SERIAL-77")) == "Accepted"
        assert await knock(site, "TLS-2", site.authority.issue("TLS-2")) == 403
        _, refusals = await site.call("GET", "/refusals")
        reasons = {(one["station"], one["reason"]) for one in refusals["items"]}
        assert ("tls-2", "the client certificate names another station") in reasons
        assert ("tls-1", "the client certificate is of another operator") in reasons
        assert ("tls-1", "the security profile is not the station's") in reasons
    run(prove())


def test_083_086_a_profile_is_raised_by_an_order_and_counts_once_the_station_came_with_it(site, tmp_path):
    async def order(socket, body):
        """A command of ours that the station accepts."""
        ordered = asyncio.create_task(site.call("POST", "/stations/TLS-4/commands?wait=20", body))
        _, number, action, payload = json.loads(await asyncio.wait_for(socket.recv(), 20))
        await socket.send(json.dumps([3, number, {"status": "Accepted"}]))
        code, made = await ordered
        assert (code, made["state"]) == (200, "seen"), made
        return action, payload

    async def access():
        return (await site.call("GET", "/stations/TLS-4"))[1]["access"]

    async def climb():
        await site.call("PUT", "/stations/TLS-4", {"registration": "Accepted", "password": OLD})
        await site.call("PUT", "/stations/TLS-4/access", {"securityProfile": 1})
        async with site.connect("TLS-4", OLD) as socket:
            await ask(socket, BOOT)
            assert await order(socket, {"command": "changeSetting", "key": "SecurityProfile", "value": "2"}) == (
                "ChangeConfiguration", {"key": "SecurityProfile", "value": "2"})
        raised = await access()
        assert raised["securityProfile"] == 2 and raised["oldProfileUntil"], raised
        # What it had counts until it came with the new one.
        assert await site.status("TLS-4", OLD) == 101
        with pytest.raises(ssl.SSLCertVerificationError):
            await knock(site, "TLS-4", password=OLD, trust=Authority(tmp_path, "stranger"))
        assert await site.status("TLS-4", OLD) == 101
        assert await knock(site, "TLS-4", password=NEW) == 401
        assert await knock(site, "TLS-4", password=OLD) == "Accepted"
        assert "oldProfileUntil" not in await access()
        assert await site.status("TLS-4", OLD) == 403
        _, refusals = await site.call("GET", "/refusals")
        assert {(one["station"], one["reason"]) for one in refusals["items"]} == {
            ("tls-4", "the password is wrong"), ("tls-4", "the security profile is not the station's")}
    run(climb())


def test_who_came_over_tls_is_refused_without_it_until_an_administrator_lifts_it(site):
    async def fall_back():
        await site.call("PUT", "/stations/TLS-3", {"registration": "Accepted", "password": OLD})
        assert await site.status("TLS-3", OLD) == 101
        assert await knock(site, "TLS-3", password=OLD) == "Accepted"
        assert await site.status("TLS-3", OLD) == 403
        _, refusals = await site.call("GET", "/refusals")
        assert [(one["station"], one["reason"]) for one in refusals["items"]] == [
            ("tls-3", "it came over TLS before and now came without (ocpp.pinTLS)")]
        code, problem = await site.call("PUT", "/stations/TLS-3/access", {"securityProfile": 1})
        assert code == 422 and problem["field"] == "securityProfile", problem
        code, access = await site.call("PUT", "/stations/TLS-3/access", {"securityProfile": None, "lower": True})
        assert code == 200 and "provenProfile" not in access, access
        assert await site.status("TLS-3", OLD) == 101
    run(fall_back())
