import Charging
import JSON

extension Usage: Stored {
    package var stored: JSONValue {
        .members([
            "segments": segments.stored,
            "reservationExpired": reservationExpired ? .bool(true) : nil,
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            segments: try stored.list("segments"),
            reservationExpired: try stored.optional("reservationExpired") { $0.bool } ?? false)
    }
}

extension Usage.Segment: Stored {
    package var stored: JSONValue {
        .members([
            "start": .time(start), "end": .time(end), "state": .string(state.rawValue),
            "energyWh": .number(energy.value), "currentA": .decimal(current),
            "powerKW": .decimal(power),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            start: try stored.time("start"), end: try stored.time("end"),
            state: try stored.choice("state"), energy: WattHours(try stored.int64("energyWh")),
            current: try stored.decimalOrNil("currentA"), power: try stored.decimalOrNil("powerKW"))
    }
}

extension Cost: Stored {
    package var stored: JSONValue {
        .members([
            "currency": .string(currency), "total": total.stored,
            "beforeLimits": beforeLimits.stored, "fixed": fixed?.stored,
            "energy": energy?.stored, "time": time?.stored, "parking": parking?.stored,
            "reservation": reservation?.stored, "billedEnergyWh": .number(billedEnergy.value),
            "billedTimeSeconds": .number(billedTimeSeconds),
            "billedParkingSeconds": .number(billedParkingSeconds),
            "billedReservationSeconds": .number(billedReservationSeconds),
            "periods": periods.stored, "lines": lines.stored,
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            currency: try stored.text("currency"), total: try stored.nested("total"),
            beforeLimits: try stored.nestedOrNil("beforeLimits"),
            fixed: try stored.nestedOrNil("fixed"), energy: try stored.nestedOrNil("energy"),
            time: try stored.nestedOrNil("time"), parking: try stored.nestedOrNil("parking"),
            reservation: try stored.nestedOrNil("reservation"),
            billedEnergy: WattHours(try stored.int64("billedEnergyWh")),
            billedTimeSeconds: try stored.int64("billedTimeSeconds"),
            billedParkingSeconds: try stored.int64("billedParkingSeconds"),
            billedReservationSeconds: try stored.int64("billedReservationSeconds"),
            periods: try stored.list("periods"), lines: try stored.list("lines"))
    }
}

extension Cost.Period: Stored {
    package var stored: JSONValue {
        .members([
            "start": .time(start), "end": .time(end), "state": .string(state.rawValue),
            "energyWh": .number(energy.value), "energyElement": .int(components.energy),
            "timeElement": .int(components.time),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            start: try stored.time("start"), end: try stored.time("end"),
            state: try stored.choice("state"), energy: WattHours(try stored.int64("energyWh")),
            components: Cost.ActiveComponents(
                energy: try stored.intOrNil("energyElement"),
                time: try stored.intOrNil("timeElement")))
    }
}

extension Cost.Line: Stored {
    package var stored: JSONValue {
        .members([
            "dimension": .string(dimension.rawValue), "isReservation": .bool(isReservation),
            "element": .number(element), "price": .number(price), "vat": .decimal(vat),
            "measured": .number(measured), "billed": .number(billed), "cost": cost.stored,
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            dimension: try stored.choice("dimension"),
            isReservation: try stored.bool("isReservation"), element: try stored.int("element"),
            price: try stored.decimal("price"), vat: try stored.decimalOrNil("vat"),
            measured: try stored.int64("measured"), billed: try stored.int64("billed"),
            cost: try stored.nested("cost"))
    }
}
