import Charging
import HAL
import JSON

extension StationView {
    /// What `kerb-edge status --json` prints.
    package var json: JSONValue {
        .members([
            "station": .string(stationID),
            "link": .string(isLinked ? "up" : "down"),
            "linkedSince": linkedSince.map(JSONValue.time),
            "linkError": linkError.map { .string($0) },
            "nextTrySeconds": nextTrySeconds.map { .number($0) },
            "registration": registration.map { .string($0.rawValue) },
            "journalDepth": journalDepth.map { .number($0) },
            "journal": journal?.json,
            "clock": .members(["now": .time(now), "trust": .string(clockTrust.rawValue)]),
            "connectors": .array(connectors.map(\.json)),
            "charging": charging?.json,
        ])
    }
}

extension BoardJournal.View {
    var json: JSONValue {
        .members([
            "depth": .number(depth),
            "parkedCharges": .number(parkedCharges),
            "waitingForTime": .number(waitingForTime),
            "usedKiB": .number(usedBytes / 1024),
            "limitKiB": .number(limitBytes / 1024),
            "trouble": trouble.map { .string($0.description) },
            "notices": .array(notices.map(JSONValue.string)),
        ])
    }
}

extension ConnectorView {
    package var json: JSONValue {
        .members([
            "connector": .number(number),
            "status": .string(status.status.rawValue),
            "errorCode": status.errorCode == "NoError" ? nil : .string(status.errorCode),
            "reason": status.info.map(JSONValue.string),
            "energyAllowed": .bool(hindrances.isEmpty),
            "hindrances": .array(hindrances.map { .string($0.description) }),
            "contactor": .string(isContactorClosed ? "closed" : "open"),
            "mirror": mirror.map { .string($0.rawValue) },
            "residualCurrent": residualCurrent.map { .string($0.rawValue) },
            "pilot": pilot.map { .string($0.rawValue) },
            "signal": .string(signal.text),
            "limitAmperes": .number(available.decimal.reduced),
            "limits": limitsJSON,
            "offered": .bool(isOfferedNow),
            "deratedToAmperes": derated.map { .number($0.decimal.reduced) },
            "degrees": degrees.map { .number($0) },
            "contactorLife": .members([
                "closings": .number(wear.closings), "openings": .number(wear.openings),
                "hotOpenings": .number(wear.hotOpenings),
            ]),
            "operative": .bool(isOperative),
            "reservation": reservation?.json,
            "charge": charge?.json,
            "meter": meterJSON,
        ])
    }

    /// What bounds the offer, in amperes; only what is in force.
    private var limitsJSON: JSONValue {
        var members: [String: JSONValue] = ["board": .number(boardMaximum.decimal.reduced)]
        for (whose, amperes) in limits {
            members[whose.rawValue] = .number(amperes.decimal.reduced)
        }
        if let cable { members["cable"] = .number(cable.decimal.reduced) }
        if let derated { members["temperature"] = .number(derated.decimal.reduced) }
        return .object(members)
    }

    private var meterJSON: JSONValue? {
        guard let meter else {
            return meterError.map { .members(["error": .string($0)]) }
        }
        return .members([
            "registerWh": .number(meter.register.value),
            "powerW": meter.power.map { .number($0.value) },
            "currentsA": .array(meter.currents.map { .number($0.decimal.reduced) }),
            "voltagesV": .array(meter.voltages.map { .number($0.decimal.reduced) }),
            "ageMilliseconds": meterAgeMilliseconds.map { .number($0) },
            "quality": .string(
                meterError == nil
                    ? "\(meter.quality.aged(milliseconds: meterAgeMilliseconds ?? 0))" : "stale"),
            "error": meterError.map(JSONValue.string),
        ])
    }
}

/// The whole token is nobody's business on a terminal.
private func masked(_ token: String) -> String {
    String(repeating: "•", count: max(0, token.count - 4)) + token.suffix(4)
}

extension ConnectorMachine.Reservation {
    var json: JSONValue {
        .members([
            "reservation": .number(id), "token": .string(masked(token)),
            "expires": .time(expires),
        ])
    }
}

extension ConnectorView.Charge {
    var json: JSONValue {
        .members([
            "charge": id.map { .number($0) },
            "token": .string(masked(token)),
            "startedAt": .time(startedAt),
            "energyWh": .number(energy.value),
            "stopping": .bool(isStopping),
            "limits": limits == .none ? nil : limits.json,
        ])
    }
}

extension PilotSignal {
    package var text: String {
        switch self {
        case .x1: "X1"
        case .pwm(let amperes): "PWM \(amperes.decimal.reduced) A"
        case .f: "F"
        }
    }
}
