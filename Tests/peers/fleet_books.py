"""What the operator's books say of a fleet, held against what its cars took in.

`judge` looks at everything, then does what a person would do about the review list, and looks at the sum once more.
"""
import collections
import csv
import time
import uuid

PAGE = 500
RULE_SECONDS = 240  # the shortest grace, and the looks of the rule


class Books:
    def __init__(self, server):
        self.server = server

    def get(self, path):
        status, answer = self.server.api("GET", path)
        assert status == 200, (path, answer)
        return answer

    def sessions(self):
        """By station and register at the start, which no two charges share."""
        found, cursor = [], ""
        while cursor is not None:
            page = self.get(f"/sessions?limit={PAGE}&cursor={cursor}" if cursor else f"/sessions?limit={PAGE}")
            found += page["items"]
            cursor = page.get("next")
        keys = collections.Counter((one["station"], one["meterStartWh"]) for one in found)
        assert (twice := [key for key, count in keys.items() if count > 1]) == [], f"two sessions of one charge: {twice}"
        return {(one["station"], one["meterStartWh"]): one for one in found}

    def bills(self):
        file = self.server.folder / f"bills-{uuid.uuid4().hex}.csv"
        self.server.run("export", "bills", file, "--unsettled")
        with open(file, newline="", encoding="utf-8") as rows:
            return list(csv.DictReader(rows))

    def review(self):
        return self.get(f"/suspicions?limit={PAGE}")["items"]

    def decide(self, suspicion, decision, **more):
        return self.server.api("POST", f"/suspicions/{suspicion['id']}/decision", {
            "decision": decision, "reason": "the fleet's test", **more})

    def settled(self):
        """Once no session is open any more."""
        deadline = time.monotonic() + RULE_SECONDS
        while True:
            running = [key for key, one in self.sessions().items() if one["status"] == "ACTIVE"]
            if not running:
                return
            assert time.monotonic() < deadline, f"open after their rule: {running}"
            time.sleep(2)


def judge(fleet, server, rule=False):
    """`rule`: also waits until the rule for charges without a stop has closed all."""
    books = Books(server)
    told = {(one.station, one.meter_start): one for one in fleet.charges if one.was_told}
    sessions = books.sessions()
    assert set(sessions) == set(told), ("missing", set(told) - set(sessions), "of nobody", set(sessions) - set(told))
    shown = {(one["station"], message["meterStopWh"]) for one in books.review() for message in one.get("parked", [])
             if message["kind"] == "stop" and message["state"] == "waiting"}
    wrong = [text for key, charge in told.items() if (text := looks_wrong(charge, sessions[key], shown))]
    assert not wrong, "\n".join(wrong)
    decided = review(books, fleet, sessions)
    if rule:
        books.settled()
    sessions = books.sessions()
    mended, waiting = correct(books, told, sessions)
    assert not (rule and waiting), waiting
    while lines := books.review():
        for one in lines:
            assert books.decide(one, "accept")[0] == 204, one
    balanced(books, told, waiting)
    return {"charges": len(told), "decided": decided, "corrected": mended, "waiting for the rule": len(waiting),
            "odd": sum(bool(one.oddities) for one in told.values())}


def looks_wrong(charge, session, shown):
    """What is wrong with a charge before anybody looked at the review list, or None. `shown`: stops in that list that
    wait for somebody to say whose they are, by station and register."""
    odd, flags = charge.oddities - {"clock before"}, set(session["suspicions"])
    is_right = (session["status"], session["energyWh"]) == ("COMPLETED", charge.wh)
    # The charge before may have told its end late, so that registers seem not to meet; and without a number it may
    # have been taken for this one.
    may_be = {"registerGapBetweenSessions"} if charge.is_beside_odd or "swapped before" in odd else set()
    if charge.is_after_odd:
        may_be |= {"orphanClosed"}
    is_doubtful = charge.is_after_odd and (charge.is_numberless or charge.jumps > 0)
    is_said = flags or (charge.station, charge.meter_stop) in shown
    rules = {
        "flagged for nothing": odd <= {"late readings", "swapped before"} and not flags <= may_be and not is_doubtful,
        "not billed by itself": odd <= {"late readings", "swapped before"} and not is_right and not is_doubtful,
        "a swap not seen": odd == {"swapped before"} and not charge.is_beside_odd and not flags,
        "a fall not seen": "swapped" in odd and session["status"] == "COMPLETED"
                           and not flags & {"registerFellOrJumped", "stopRegisterBelowStart"}
                           and not (is_doubtful and flags),
        "a late stop not seen": charge.order in ("stop after the next start", "no stop") and charge.after is not None
                                and charge.after.jumps == 0 and not flags,
        "wrong and not said": session["status"] == "COMPLETED" and not is_right and not is_said,
    }
    broken = [name for name, is_broken in rules.items() if is_broken]
    told = {name: session.get(name) for name in ("status", "energyWh", "meterLastWh", "endedAt", "suspicions")}
    return f"{broken}: {charge}: {told}" if broken else None


def review(books, fleet, sessions):
    """Messages of unknown transactions: a person knows whose they are. Gives how many lines there were."""
    stops = {(one.station, one.meter_stop): one for one in fleet.charges}
    nobodys = {(one.station, one.meter_stop) for one in fleet.charges if not one.was_told}
    lines, voided = books.review(), set()
    assert len(lines) < PAGE
    for one in lines:
        for message in one.get("parked", []):
            if message["kind"] != "stop" or message["state"] != "waiting":
                continue
            key = (one["station"], message["meterStopWh"])
            charge = stops[key]
            if not charge.was_told:
                assert one["code"] == "stopOfUnknownTransaction" and books.decide(one, "void")[0] == 204, one
                voided.add(key)
                continue
            session = sessions[(charge.station, charge.meter_start)]
            status, answer = books.decide(one, "bind", session=session["id"])
            assert status == 200 or answer["title"] == "the session has its stop", answer
    # Another charge may have taken it: that one was found wrong, and said to be.
    taken = {(one["station"], one["meterLastWh"]) for one in sessions.values()}
    assert nobodys - voided <= taken, ("of no charge, and not shown", nobodys - voided - taken)
    return len(lines)


def correct(books, told, sessions):
    """What a car took in is another figure, and was said to be: it is billed anew. Gives how many were, and those that
    lost their stop to another charge and are closed by rule before anybody can say so."""
    count, waiting = 0, set()
    for key, charge in told.items():
        session = sessions[key]
        if (session["status"], session["energyWh"]) == ("COMPLETED", charge.wh):
            continue
        if session["status"] == "ACTIVE":
            assert charge.oddities or charge.is_after_odd, (charge, session)
            waiting.add(key)
            continue
        status, answer = books.server.api("POST", f"/sessions/{session['id']}/correction", {
            "reason": "as the car has it", "meterStopWh": charge.meter_start + charge.wh})
        assert status == 200, (charge, session, answer)
        count += 1
    return count, waiting


def balanced(books, told, waiting):
    """One standing bill of each charge, over what its car took in; and the sum, to the watt-hour."""
    bills = books.bills()
    assert len({bill["bill"] for bill in bills}) == len(bills)
    credited = {bill["credit_of"] for bill in bills if bill["credit_of"]}
    standing = [bill for bill in bills if not bill["credit_of"] and bill["bill"] not in credited]
    by_charge = collections.Counter((bill["station"], int(bill["meter_start_wh"])) for bill in standing)
    assert set(by_charge) == set(told) - waiting, (set(told) - waiting - set(by_charge), set(by_charge) - set(told))
    assert max(by_charge.values()) == 1
    for bill in standing:
        charge = told[(bill["station"], int(bill["meter_start_wh"]))]
        assert int(bill["energy_wh"]) == charge.wh, (bill, charge)
    owed = sum(charge.wh for key, charge in told.items() if key not in waiting)
    assert sum(int(bill["energy_wh"]) for bill in bills) == owed
