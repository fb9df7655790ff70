"""A fleet of stations with virtual cars, from a seed: what each car took in is summed beside everything OCPP.

A charge goes wrong in ways real ones do: messages out of order, offline with no number, a clock that was never set,
jumps or is stepped, a meter that is swapped, an end that nobody tells. The way to the server is `faulty_line`.
"""
import asyncio
import datetime
import random

from faulty_line import FAULTS, Line

UTC = datetime.timezone.utc
CONNECTORS = 2
# Of a hundred charges.
ORDERS = {"late readings": 12, "stop before start": 8, "stop after the next start": 6, "no start": 2}
SWAPS = {"while charging": 4, "between charges": 4}
CLOCKS = {"ahead": 2, "behind": 2, "unset": 2, "stepped": 2}
OFFLINE = 20
NEVER_STOPS = 6


def drawn(chance, shares):
    """A name with its share of a hundred, or None."""
    draw = chance.randrange(100)
    for name, share in shares.items():
        draw -= share
        if draw < 0:
            return name
    return None


class Clock:
    """A station's: true, or of a station that tells of the past, and then wrong in a way of its own."""

    def __init__(self, chance, is_live):
        self.chance, self.is_live = chance, is_live
        self.past = datetime.datetime.now(UTC) - datetime.timedelta(days=chance.randrange(15, 60))
        self.jumps = -1
        self.jump(None)

    def jump(self, how):
        """To another error, or to none: then it was set."""
        self.jumps += 1
        self.is_unset = how == "unset"
        self.offset = datetime.timedelta(hours={"ahead": 1, "behind": -1}.get(how, 0) * self.chance.randrange(1, 6))
        if how == "stepped":
            self.offset = datetime.timedelta(seconds=self.chance.choice((-3, -1, 1, 2)))
        self.began = self.true()

    def true(self):
        return datetime.datetime.now(UTC) if self.is_live else self.past

    async def wait(self, chance):
        if self.is_live:
            await asyncio.sleep(chance.uniform(0.002, 0.02))
        else:
            self.past += datetime.timedelta(seconds=chance.randrange(20, 900))

    def read(self):
        at = self.true()
        if self.is_unset:
            return datetime.datetime(1970, 1, 1, tzinfo=UTC) + (at - self.began)
        return at + self.offset

    @property
    def is_plausible(self):
        """Whether a server can take its word: not before 2015, not five minutes ahead."""
        return not self.is_unset and not (self.is_live and self.offset > datetime.timedelta(minutes=5))


class Meter:
    """Counts up for its life, which ends when it is swapped for one that counted less."""

    def __init__(self, chance):
        self.chance, self.register = chance, chance.randrange(10 ** 6, 10 ** 7)

    def swap(self):
        self.register = self.chance.randrange(1000, self.register // 2)


class Charge:
    """What a car took, and what the station saw of it. `wh` is the car's own count."""

    def __init__(self, station, connector, tag, register, order, swap):
        self.station, self.connector, self.tag = station, connector, tag
        self.meter_start, self.meter_stop = register, register
        self.order, self.swap = order, swap
        self.wh = 0
        self.number = self.before = self.after = None
        # Of the clock, up to its end.
        self.jumps = 0
        self.is_numberless = False
        self.stamps = []
        self.oddities = set()
        self.was_told = order != "no start"
        self.readings_told = set()
        self.stop_told = False

    @property
    def is_beside_odd(self):
        return "clock before" in self.oddities or (self.before is not None and bool(self.before.oddities))

    @property
    def is_after_odd(self):
        """One that was odd may be open for long, and every later charge of the connector meets it."""
        return self.is_beside_odd or (self.before is not None and self.before.is_after_odd)

    def __repr__(self):
        return (f"{self.station}/{self.connector} {self.wh} Wh from {self.meter_start} to {self.meter_stop}, number "
                f"{self.number}, {self.order or 'in order'}, odd: {sorted(self.oddities) or 'nothing'}, {self.stamps}")


class Message:
    """One of a charge's, stamped when it was made; its number is filled in when it is first sent."""

    def __init__(self, action, charge, **fields):
        self.action, self.charge, self.fields = action, charge, fields

    def payload(self, unset):
        if self.action == "StartTransaction":
            return self.fields
        return {**self.fields, "transactionId": unset if self.charge.number is None else self.charge.number}


class Station:
    """`charges` is its ledger, in the order in which they began."""

    def __init__(self, name, url, seed, counts, progress, enough, allowed, faults):
        self.name, self.progress, self.enough, self.allowed = name, progress, enough, allowed
        self.chance = random.Random(f"{seed}/{name}")
        self.line = Line(url, random.Random(f"{seed}/{name}/line"), counts, faults)
        self.clock = Clock(self.chance, is_live=self.chance.random() < 0.5)
        self.unset = self.chance.choice((-1, 0))
        # Whether it fills a number in that it learnt after the message was made.
        self.fills_in = self.chance.random() < 0.5
        self.meters = [Meter(random.Random(f"{seed}/{name}/meter/{number}")) for number in range(CONNECTORS)]
        self.charges, self.offline, self.backlog = [], 0, []
        self.turn = asyncio.Lock()

    async def live(self, charges):
        await self.line.tell("BootNotification", {"chargePointVendor": "Faulty", "chargePointModel": "Fleet"})
        for number in range(CONNECTORS + 1):
            await self.line.tell("StatusNotification", {
                "connectorId": number, "errorCode": "NoError", "status": "Available"})
        seeds = [random.Random(self.chance.random()) for _ in range(CONNECTORS)]
        await asyncio.gather(*(self.serve(number, charges, seeds[number]) for number in range(CONNECTORS)))
        await self.flush()
        await self.line.close()

    async def serve(self, number, count, chance):
        held = []
        for index in range(count):
            if self.enough.is_set():
                break
            await self.charge(number, chance, held, is_last=index == count - 1)
            self.progress()
        for message in held:
            await self.deliver(message)

    # MARK: One charge

    async def charge(self, number, chance, held, is_last):
        """`held`: messages of the charge before, which come after this one's start."""
        clock, meter = self.clock, self.meters[number]
        order, swap = drawn(chance, self.shares("order")), drawn(chance, self.shares("swap"))
        if self.allowed >= {"offline"} and not self.offline and chance.randrange(100) < OFFLINE:
            self.offline = chance.randrange(3, 20)
        # Two charges out of order at once could be told apart by nobody.
        before = [one for one in self.charges if one.connector == number + 1][-1:]
        is_after_end_untold = bool(before) and before[0].order == "no stop"
        if held or is_after_end_untold or order == "stop after the next start" and is_last:
            order = None
        await self.clock.wait(chance)
        self.disturb(chance)
        if swap == "between charges":
            meter.swap()
        charge = Charge(self.name, number + 1, f"CARD-{number + 1}", meter.register, order, swap)
        charge.jumps = clock.jumps
        if before:
            charge.before, before[0].after = before[0], charge
        if before and swap == "between charges":
            charge.oddities.add("swapped before")
        if clock.jumps > (before[0].jumps if before else 0):
            charge.oddities.add("clock before")
        self.charges.append(charge)
        start = self.stamped("StartTransaction", charge, connectorId=number + 1, idTag=charge.tag, meterStart=meter.register)
        readings, stop = await self.drive(number, charge, chance)
        messages = self.arranged(order, start, readings, stop, chance)
        if order:
            charge.oddities.add(order)
        if order == "stop after the next start":
            messages.remove(stop)
        for message in messages:
            await self.deliver(message)
            if message is start:
                while held:
                    await self.deliver(held.pop(0))
        if order == "stop after the next start":
            held.append(stop)

    def shares(self, kind):
        shares = {"order": ORDERS, "swap": SWAPS}[kind] if kind in self.allowed else {}
        if kind == "order" and "never" in self.allowed:
            shares = {**shares, "no stop": NEVER_STOPS}
        return shares

    def disturb(self, chance):
        """The clock may go wrong, or right again."""
        how = drawn(chance, CLOCKS) if "clock" in self.allowed else None
        if how or not self.clock.is_plausible and chance.random() < 0.5:
            self.clock.jump(how)

    async def drive(self, number, charge, chance):
        """The car takes energy; what the station would tell of it, in order."""
        meter, readings, swaps_at = self.meters[number], [], None
        # One without a stop ends with a reading, or nobody but the car would know of its energy.
        parts = chance.randrange(1 if charge.order == "no stop" else 0, 5) + (2 if charge.swap == "while charging" else 0)
        if charge.swap == "while charging":
            swaps_at = chance.randrange(1, parts)
        for part in range(parts):
            await self.clock.wait(chance)
            if part == swaps_at:
                meter.swap()
                charge.oddities.add("swapped")
            self.take(meter, charge, chance)
            if part == 1:
                self.disturb(chance)
            readings.append(self.stamped("MeterValues", charge, connectorId=number + 1, register=meter.register))
        if charge.order != "no stop":
            await self.clock.wait(chance)
            self.take(meter, charge, chance)
        charge.meter_stop = meter.register
        reason = chance.choice(("Local", "EVDisconnected", "PowerLoss"))
        stop = self.stamped("StopTransaction", charge, meterStop=meter.register, reason=reason)
        if self.clock.jumps > charge.jumps:
            charge.oddities.add("clock")
            charge.jumps = self.clock.jumps
        # A tag tells whose it is where there is no number.
        if chance.random() < 0.6 or charge.order in ("stop before start", "no start"):
            stop.fields["idTag"] = charge.tag
        return readings, stop

    @staticmethod
    def take(meter, charge, chance):
        energy = chance.randrange(1, 2500)
        meter.register += energy
        charge.wh += energy

    def stamped(self, action, charge, **fields):
        if not self.clock.is_plausible:
            charge.oddities.add("clock")
        at = self.clock.read()
        charge.stamps.append(f"{action[:5]} {at:%m-%d %H:%M:%S.%f}"[:-3] if at.year > 1970 else f"{action[:5]} 1970")
        text = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
        if action != "MeterValues":
            return Message(action, charge, **fields, timestamp=text)
        sample = {"value": str(fields.pop("register")), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        return Message(action, charge, **fields, meterValue=[{"timestamp": text, "sampledValue": [sample]}])

    @staticmethod
    def arranged(order, start, readings, stop, chance):
        if order == "late readings":
            late = [one for one in readings if chance.random() < 0.7]
            return [start, *(one for one in readings if one not in late), stop, *late]
        if order == "stop before start":
            return [stop, start, *readings] if chance.random() < 0.5 else [*readings, stop, start]
        if order == "no start":
            return [stop]
        if order == "no stop":
            return [start, *readings]
        return [start, *readings, stop]

    # MARK: The way out

    async def deliver(self, message):
        """Sends it, or keeps it while the station is offline; then all that was kept goes first."""
        async with self.turn:
            self.backlog.append((message, None if self.fills_in else message.payload(self.unset)))
            self.offline = max(0, self.offline - 1)
            if not self.offline:
                await self.flush()

    async def flush(self):
        while self.backlog:
            await self.say(*self.backlog.pop(0))

    async def say(self, message, payload):
        charge = message.charge
        payload = payload or message.payload(self.unset)
        if payload.get("transactionId") == self.unset:
            charge.is_numberless = True
            if message.action == "StopTransaction" and "idTag" not in payload:
                charge.oddities.add("nothing tells whose stop it is")
        answer = await self.line.tell(message.action, payload)
        if message.action == "StartTransaction":
            assert answer["transactionId"] > 0 and charge.number in (None, answer["transactionId"]), (charge, answer)
            charge.number = answer["transactionId"]
        elif message.action == "MeterValues":
            value = payload["meterValue"][0]
            charge.readings_told.add(int(value["sampledValue"][0]["value"]))
        else:
            charge.stop_told = True


EVERYTHING = frozenset({"order", "swap", "clock", "offline"})


class Fleet:
    """`run` lives all charges through, or those that were begun before `enough`, and leaves `charges` and `counts`."""

    def __init__(self, url, seed, stations, charges, allowed=EVERYTHING, faults=FAULTS):
        self.counts, self.done, self.each = {}, 0, charges
        self.enough = asyncio.Event()
        self.stations = [
            Station(f"F{number}", f"{url}F{number}", seed, self.counts, self.progress, self.enough, allowed, faults)
            for number in range(stations)]
        self.whole = stations * CONNECTORS * charges

    def progress(self):
        self.done += 1

    @property
    def charges(self):
        return [charge for station in self.stations for charge in station.charges]

    async def reach(self, share):
        """Returns once this share of all charges was lived through."""
        while self.done < self.whole * share:
            await asyncio.sleep(0.01)

    async def run(self):
        async with asyncio.TaskGroup() as group:
            for station in self.stations:
                group.create_task(station.live(self.each))
