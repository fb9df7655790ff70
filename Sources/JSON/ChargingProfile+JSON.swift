import Charging

/// The house's own spelling of charging profiles: in journals, command rows and the admin API.
extension ChargingProfile {
    package var json: JSONValue {
        var kindWord = "absolute"
        var recurrence: JSONValue?
        switch kind {
        case .absolute: break
        case .relative: kindWord = "relative"
        case .recurring(let each):
            kindWord = "recurring"
            recurrence = .string(each.rawValue)
        }
        var number: JSONValue?
        if case .number(let value) = transaction { number = .number(value) }
        return .members([
            "id": .number(id), "stackLevel": .number(stackLevel),
            "purpose": .string(purpose.rawValue), "kind": .string(kindWord),
            "recurrence": recurrence, "transaction": number,
            "validFrom": validFrom.map(JSONValue.time), "validTo": validTo.map(JSONValue.time),
            "schedule": schedule.json,
        ])
    }

    /// nil for what was not written by `json`.
    package init?(json: JSONValue) {
        guard let id = json["id"]?.int, let stackLevel = json["stackLevel"]?.int,
            let purpose = json["purpose"]?.string.flatMap(Purpose.init(rawValue:)),
            let schedule = json["schedule"].flatMap(ChargingSchedule.init(json:))
        else { return nil }
        let kind: Kind
        switch json["kind"]?.string {
        case "absolute": kind = .absolute
        case "relative": kind = .relative
        case "recurring":
            guard let each = json["recurrence"]?.string.flatMap(Recurrence.init(rawValue:)) else {
                return nil
            }
            kind = .recurring(each)
        default: return nil
        }
        self.init(
            id: id, stackLevel: stackLevel, purpose: purpose, kind: kind,
            transaction: json["transaction"]?.int.map { .number($0) },
            validFrom: json["validFrom"]?.time, validTo: json["validTo"]?.time, schedule: schedule)
    }
}

extension ChargingSchedule {
    package var json: JSONValue {
        .members([
            "unit": .string(unit.rawValue),
            "periods": .array(
                periods.map {
                    .members([
                        "start": .number($0.start),
                        "limit": .number(Decimal(significand: Int128($0.tenths), scale: 1).reduced),
                        "phases": $0.phases.map { .number($0) },
                    ])
                }),
            "durationSeconds": durationSeconds.map { .number($0) },
            "start": start.map(JSONValue.time),
            "minimumRate": minimumRateTenths.map {
                .number(Decimal(significand: Int128($0), scale: 1).reduced)
            },
        ])
    }

    private static func isSane(_ seconds: Int) -> Bool {
        ChargingProfile.Bounds.seconds.contains(seconds)
    }

    /// nil for what is no schedule, or has times that no schedule has.
    package init?(json: JSONValue) {
        guard let unit = json["unit"]?.string.flatMap(Unit.init(rawValue:)),
            let items = json["periods"]?.array
        else { return nil }
        var periods: [Period] = []
        for item in items {
            guard let start = item["start"]?.int, Self.isSane(start),
                let tenths = item["limit"]?.tenths
            else { return nil }
            periods.append(Period(start: start, tenths: tenths, phases: item["phases"]?.int))
        }
        let duration = json["durationSeconds"]?.int
        guard duration.map(Self.isSane) ?? true else { return nil }
        self.init(
            unit: unit, periods: periods, durationSeconds: duration,
            start: json["start"]?.time, minimumRateTenths: json["minimumRate"]?.tenths)
    }
}

extension CompositeSchedule {
    package var json: JSONValue {
        .members([
            "connector": .number(connector), "start": .time(start), "schedule": schedule.json,
        ])
    }
}

extension JSONValue {
    /// A number that is a limit, in tenths rounded down; nil for another value or one out of range.
    package var tenths: Int64? {
        guard let whole = decimal?.multiplied(by: Decimal(10))?.floor,
            ChargingProfile.Bounds.tenths.contains(whole)
        else { return nil }
        return whole
    }
}
