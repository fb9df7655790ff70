import Charging
import JSON

extension Session: Stored {
    package var stored: JSONValue {
        .members([
            "id": .string(id), "status": .string(status.rawValue), "station": .string(station),
            "connector": .number(connector), "transaction": transaction?.stored,
            "token": token.stored, "authMethod": .string(authMethod.rawValue),
            "authorizationReference": .text(authorizationReference), "location": location.stored,
            "evseUID": .string(evseUID), "connectorID": .string(connectorID),
            "tariff": tariff?.stored, "currency": .string(currency), "startedAt": .time(startedAt),
            "endedAt": .moment(endedAt), "meterStartWh": .number(meterStart.value),
            "meterLastWh": .number(meterLast.value), "usage": usage.stored, "cost": cost?.stored,
            "stopReason": .text(stopReason?.rawValue),
            "suspicions": .array(suspicions.map { .string($0) }),
            "lastUpdated": .time(lastUpdated),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            id: try stored.text("id"), status: try stored.choice("status"),
            station: try stored.text("station"), connector: try stored.int("connector"),
            transaction: try stored.nestedOrNil("transaction"), token: try stored.nested("token"),
            authMethod: try stored.choice("authMethod"),
            authorizationReference: try stored.textOrNil("authorizationReference"),
            location: try stored.nested("location"), evseUID: try stored.text("evseUID"),
            connectorID: try stored.text("connectorID"), tariff: try stored.nestedOrNil("tariff"),
            currency: try stored.text("currency"), startedAt: try stored.time("startedAt"),
            endedAt: try stored.timeOrNil("endedAt"),
            meterStart: WattHours(try stored.int64("meterStartWh")),
            meterLast: WattHours(try stored.int64("meterLastWh")),
            usage: try stored.nested("usage"), cost: try stored.nestedOrNil("cost"),
            stopReason: try stored.optional("stopReason") {
                $0.string.flatMap { StopReason(rawValue: $0) }
            },
            suspicions: try stored.texts("suspicions"),
            lastUpdated: try stored.time("lastUpdated"))
    }
}

extension CDR: Stored {
    package var stored: JSONValue {
        .members([
            "id": .string(id), "session": session.stored, "cost": cost.stored,
            "createdAt": .time(createdAt), "creditOf": .text(creditOf),
            "signed": signed.isEmpty ? Optional<JSONValue>.none : signed.stored,
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            id: try stored.text("id"), session: try stored.nested("session"),
            cost: try stored.nested("cost"), createdAt: try stored.time("createdAt"),
            creditOf: try stored.textOrNil("creditOf"), signed: try stored.list("signed"))
    }
}

extension SignedReading: Stored {
    package var stored: JSONValue {
        .members([
            "at": .time(at), "context": .string(context.rawValue), "record": .string(record),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            at: try stored.time("at"), context: try stored.choice("context"),
            record: try stored.text("record"))
    }
}
