"""The official OCPP 1.6 JSON schemas, as the PyPI package `ocpp` ships them, unmodified."""
import functools
import importlib.resources
import json
from decimal import Decimal

import jsonschema


@functools.cache
def validator(name):
    """The validator of `Authorize` or `AuthorizeResponse`."""
    text = importlib.resources.files("ocpp").joinpath(f"v16/schemas/{name}.json").read_text("utf-8-sig")
    # Decimals, because multipleOf 0.1 fails on binary fractions.
    schema = json.loads(text, parse_float=Decimal)
    return jsonschema.validators.validator_for(schema)(
        schema, format_checker=jsonschema.FormatChecker(["date-time"]))


def faults(name, payload):
    """What the schema finds wrong with a payload, empty when nothing."""
    return [error.message for error in validator(name).iter_errors(payload)]


class Capture:
    """Collects the frames of one connection and checks every one that Kerb sent."""

    def __init__(self):
        self.sent_by_kerb = []
        self.actions = {}

    def peer_sent(self, text):
        frame = json.loads(text, parse_float=Decimal)
        if isinstance(frame, list) and frame and frame[0] == 2 and len(frame) > 2:
            self.actions[str(frame[1])] = frame[2]

    def kerb_sent(self, text):
        self.sent_by_kerb.append(text)

    def check(self):
        """Asserts shape, key order and schema of everything Kerb sent; returns how many."""
        for text in self.sent_by_kerb:
            frame = json.loads(text, parse_float=Decimal)
            kind = frame[0]
            if kind == 2:
                _, message_id, action, payload = frame
                assert isinstance(message_id, str) and len(message_id) <= 36, text
                assert faults(action, payload) == [], f"{text}: {faults(action, payload)}"
            elif kind == 3:
                _, message_id, payload = frame
                action = self.actions.get(str(message_id))
                assert action, f"an answer to nothing: {text}"
                assert faults(action + "Response", payload) == [], text
            else:
                assert kind == 4 and len(frame) == 5 and isinstance(frame[4], dict), text
                assert frame[2] in ERROR_CODES and len(frame[3]) <= 255, text
            assert_sorted(json.loads(text, object_pairs_hook=lambda pairs: pairs), text)
        return len(self.sent_by_kerb)


def assert_sorted(value, text):
    """Objects come as lists of pairs: their keys must be in byte order."""
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        keys = [key for key, _ in value]
        assert keys == sorted(keys), f"keys are not sorted: {text}"
        for _, member in value:
            assert_sorted(member, text)
    elif isinstance(value, list):
        for item in value:
            assert_sorted(item, text)


# OCPP-J 1.6 §4.2.3 with its two misprints, and SecurityError of its errata.
ERROR_CODES = {
    "NotImplemented", "NotSupported", "InternalError", "ProtocolError", "SecurityError",
    "FormationViolation", "PropertyConstraintViolation", "OccurenceConstraintViolation",
    "TypeConstraintViolation", "GenericError",
}
