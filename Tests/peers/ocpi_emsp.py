"""An eMSP by PyPI `extrawest-ocpi`, unmodified: its application, with a store in memory behind it.

It lower-cases every CiString, answers single objects as a list of one and 403 for 401; Kerb has to live
with that, and the test with it.
"""
import base64
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from ports import free_port


# The library reads its address from the environment when it is imported.
PORT = free_port()
os.environ["OCPI_HOST"] = f"127.0.0.1:{PORT}"
os.environ["PROTOCOL"] = "http"

import uvicorn  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import JSONResponse  # noqa: E402
from starlette.routing import Route  # noqa: E402
from py_ocpi import get_application  # noqa: E402
from py_ocpi.core.authentication.authenticator import Authenticator  # noqa: E402
from py_ocpi.core.crud import Crud  # noqa: E402
from py_ocpi.core.enums import ModuleID, RoleEnum  # noqa: E402
from py_ocpi.modules.versions.enums import VersionNumber  # noqa: E402

# What we hand out: for our own registration, for the CPO's, and what the CPO then uses.
TOKEN_B = f"py-token-b-{uuid.uuid4()}"
TOKEN_A = f"py-token-a-{uuid.uuid4()}"
TOKEN_C = f"py-token-c-{uuid.uuid4()}"
PARTY = ("NL", "PYE")


class Books(Crud):
    """What was pushed, by module and id, and the calls that brought it."""

    objects, calls = {}, []
    # What is answered when the CPO asks for a driver, by uid; the questions stand in `calls`.
    authorizations = {}
    changed = threading.Condition()

    @classmethod
    def put(cls, verb, module, id, data):
        with cls.changed:
            cls.calls.append((verb, module.value, id, data))
            cls.objects[(module.value, str(id).lower())] = data
            cls.changed.notify_all()
        return data

    @classmethod
    async def get(cls, module, role, id, *args, **kwargs):
        return cls.objects.get((module.value, str(id).lower()))

    @classmethod
    async def list(cls, module, role, filters, *args, **kwargs):
        return [], 0, True

    @classmethod
    async def create(cls, module, role, data, *args, **kwargs):
        if module == ModuleID.credentials_and_registration:
            cls.put("create", module, "cpo", data)
            return {**EMSP.credentials(), "token": TOKEN_C}
        if module == ModuleID.charging_profile:
            return cls.put("result", module, kwargs["query_params"].get("name"), data)
        return cls.put("create", module, data["id"], data)

    @classmethod
    async def update(cls, module, role, data, id, *args, **kwargs):
        return cls.put("update", module, id, data)

    @classmethod
    async def delete(cls, module, role, id, *args, **kwargs):
        cls.put("delete", module, id, None)

    @classmethod
    async def do(cls, module, role, action, *args, data=None, **kwargs):
        if module != ModuleID.tokens:
            return None
        uid = str(data["token_uid"]).lower()
        cls.put("authorize", module, uid, cls.objects[("tokens", uid)])
        cls.calls[-1] = ("authorize", "tokens", uid, data["location_reference"])
        return cls.authorizations.get(uid)

    @classmethod
    def wait(cls, fits, seconds=20):
        """The first call that fits, waiting for it."""
        deadline = time.monotonic() + seconds
        with cls.changed:
            while True:
                for call in cls.calls:
                    if fits(call):
                        return call
                assert cls.changed.wait(deadline - time.monotonic()), \
                    f"nothing that fits came; there is {[c[:3] for c in cls.calls]}"


class Tokens(Authenticator):
    @classmethod
    async def get_valid_token_c(cls):
        return [TOKEN_B, TOKEN_C]

    @classmethod
    async def get_valid_token_a(cls):
        return [TOKEN_A]


class EMSP:
    def __init__(self):
        application = get_application(
            version_numbers=[VersionNumber.v_2_2_1], roles=[RoleEnum.emsp], crud=Books,
            modules=[ModuleID.credentials_and_registration, ModuleID.locations, ModuleID.sessions,
                     ModuleID.cdrs, ModuleID.tariffs, ModuleID.commands, ModuleID.tokens,
                     ModuleID.charging_profile],
            authenticator=Tokens)

        # The library's own model of this body has one period and misspells the least rate.
        async def active_profile(request: Request):
            Books.put(
                "active", ModuleID.charging_profile, request.path_params["session"],
                await request.json())
            return JSONResponse({"status_code": 1000, "timestamp": "2027-01-01T00:00:00Z"})
        application.router.routes.insert(0, Route(
            "/ocpi/emsp/2.2.1/chargingprofiles/{session}", active_profile, methods=["PUT"]))
        self.server = uvicorn.Server(
            uvicorn.Config(application, host="127.0.0.1", port=PORT, log_level="warning"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.token = None
        self.endpoints = {}

    def start(self):
        Books.calls.clear()
        Books.objects.clear()
        self.thread.start()
        deadline = time.monotonic() + 20
        while not self.server.started:
            assert time.monotonic() < deadline, "the eMSP does not start"
            time.sleep(0.02)
        return self

    def stop(self):
        self.server.should_exit = True
        self.thread.join(10)

    url = f"http://127.0.0.1:{PORT}/ocpi"

    @classmethod
    def credentials(cls):
        return {
            "token": TOKEN_B, "url": f"{cls.url}/versions",
            "roles": [{"role": "EMSP", "country_code": PARTY[0], "party_id": PARTY[1],
                       "business_details": {"name": "Python eMSP"}}]}

    # What the library has no client for: an eMSP's calls to the CPO.

    def ask(self, method, url, body=None, token=None, headers=()):
        """(HTTP status, headers, envelope) of one call."""
        shown = base64.b64encode((token or self.token).encode()).decode()
        request = urllib.request.Request(
            url, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Token {shown}", "Content-Type": "application/json",
                     "X-Request-ID": str(uuid.uuid4()), "X-Correlation-ID": str(uuid.uuid4()),
                     **dict(headers)})
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, answer.headers, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.loads(error.read())

    def register(self, invitation):
        token = invitation["token"]
        _, _, versions = self.ask("GET", invitation["versionsURL"], token=token)
        details = next(v["url"] for v in versions["data"] if v["version"] == "2.2.1")
        _, _, answer = self.ask("GET", details, token=token)
        self.endpoints = {e["identifier"]: e["url"] for e in answer["data"]["endpoints"]}
        status, _, answer = self.ask(
            "POST", self.endpoints["credentials"], self.credentials(), token=token)
        assert (status, answer["status_code"]) == (200, 1000), answer
        self.token = answer["data"]["token"]
        return answer["data"]

    def pull(self, module, **query):
        """Every object of a list, by following Link."""
        url, objects = self.endpoints[module], []
        if query:
            url += "?" + urllib.parse.urlencode(query)
        while url:
            status, headers, answer = self.ask("GET", url)
            assert (status, answer["status_code"]) == (200, 1000), answer
            objects += answer["data"]
            link = headers.get("Link", "")
            url = link.split(">")[0].lstrip("<") if 'rel="next"' in link else None
        assert int(headers["X-Total-Count"]) == len(objects)
        return objects
