import CPO
import Charging
import JSON

/// The house's nouns as the API shows them: our words, units in the names.
enum Shape {
    static func station(
        _ station: StationRecord, _ house: ChargePointOperator, _ running: [Session]
    ) -> JSONValue {
        .members([
            "id": .string(station.id), "registration": .string(station.registration.rawValue),
            "online": .bool(station.isOnline),
            "linkChangedAt": station.linkChangedAt.map { .time($0) },
            "subprotocol": station.subprotocol.map { .string($0) },
            "bootedAt": station.bootedAt.map { .time($0) },
            "createdAt": .time(station.createdAt),
            "identity": station.identity.map(identity),
            "replaced": station.replaced.map { replaced in
                [
                    "former": .string(replaced.former), "at": .time(replaced.at),
                    "times": .number(replaced.times),
                ]
            },
            "connectors": .array(
                station.connectors.map { connector in
                    self.connector(connector, station.id, house, running)
                }),
        ])
    }

    static func securityEvent(_ event: StationSecurityEvent) -> JSONValue {
        [
            "type": .string(event.type), "at": .time(event.at),
            "receivedAt": .time(event.receivedAt), "alarming": .bool(event.isAlarming),
        ]
    }

    private static func identity(_ identity: StationIdentity) -> JSONValue {
        .members([
            "vendor": .string(identity.vendor), "model": .string(identity.model),
            "serial": identity.serial.map { .string($0) },
            "firmware": identity.firmware.map { .string($0) },
            "meterType": identity.meterType.map { .string($0) },
            "meterSerial": identity.meterSerial.map { .string($0) },
        ])
    }

    private static func connector(
        _ connector: StationRecord.Connector, _ station: String, _ house: ChargePointOperator,
        _ running: [Session]
    ) -> JSONValue {
        let session = running.first {
            $0.station == station && $0.connector == connector.number
        }
        let place = house.locations.place(station: station, connector: connector.number)
        return .members([
            "number": .number(connector.number), "status": .string(connector.status.rawValue),
            "errorCode": .string(connector.errorCode),
            "info": connector.info.map { .string($0) },
            "vendorErrorCode": connector.vendorErrorCode.map { .string($0) },
            "at": .time(connector.at), "since": .time(connector.since),
            "evseUID": place.map { .string($0.evse.uid) },
            "location": place.map { .string($0.location.id) },
            "session": session.map { .string($0.id) },
            "powerWatts": session.flatMap { house.sessions.live($0.id)?.power }.map(watts),
        ])
    }

    /// The house keeps kilowatts, as tariffs are worded; the API speaks of watts.
    private static func watts(_ kilowatts: Decimal) -> JSONValue {
        .number((kilowatts * Decimal(1000)).reduced)
    }

    static func session(_ session: Session, _ house: ChargePointOperator) -> JSONValue {
        let live = session.endedAt == nil ? house.sessions.live(session.id) : nil
        return .members([
            "id": .string(session.id), "status": .string(session.status.rawValue),
            "station": .string(session.station), "connector": .number(session.connector),
            "evseUID": .string(session.evseUID), "location": .string(session.location.id),
            "token": .string(session.token.uid),
            "tokenParty": .string(session.token.party.description),
            "authorizationReference": session.authorizationReference.map { .string($0) },
            "startedAt": .time(session.startedAt), "endedAt": session.endedAt.map { .time($0) },
            "meterStartWh": .number(session.meterStart.value),
            "meterLastWh": .number(session.meterLast.value),
            "energyWh": .number(session.energy.value),
            "powerWatts": live?.power.map(watts),
            "currentAmperes": live?.current.map { .number($0) },
            "stateOfChargePercent": live?.stateOfCharge.map { .number($0) },
            "tariff": session.tariff.map { .string($0.id) },
            "currency": .string(session.currency), "cost": session.cost.map(cost),
            "stopReason": session.stopReason.map { .string($0.rawValue) },
            "suspicions": .array(session.suspicions.map { .string($0) }),
            "lastUpdated": .time(session.lastUpdated),
        ])
    }

    static func cost(_ cost: Cost) -> JSONValue {
        .members([
            "currency": .string(cost.currency), "exclVAT": .number(cost.total.exclVAT),
            "inclVAT": cost.total.inclVAT.map { .number($0) },
        ])
    }

    static func reading(_ reading: MeterReading) -> JSONValue {
        .members([
            "at": reading.at.map { .time($0) },
            "samples": .array(
                reading.samples.map { sample in
                    let (name, unit) =
                        switch sample.quantity {
                        case .known(let measurand): (measurand.rawValue, measurand.unit)
                        case .foreign(let name, let unit): (name, unit)
                        }
                    // What a record says is in the record; nobody read it.
                    let value = sample.signed == nil ? sample.value : Optional<Decimal>.none
                    return .members([
                        "measurand": .string(name), "value": value.map { .number($0) },
                        "unit": unit.map { .string($0) },
                        "phase": sample.phase.map { .string($0) },
                        "context": .string(sample.context.rawValue),
                        "location": sample.location.map { .string($0) },
                        "signed": sample.signed.map { .string($0) },
                    ])
                }),
        ])
    }

    static func point(_ point: SeriesPoint) -> JSONValue {
        .members([
            "at": .time(point.at), "energyWh": .number(point.energy.value),
            "powerWatts": point.power.map(watts),
            "currentAmperes": point.current.map { .number($0) },
        ])
    }

    static func command(_ command: Command) -> JSONValue {
        .members([
            "id": .string(command.id), "station": .string(command.station),
            "command": .string(command.command.name), "state": .string(command.state.rawValue),
            "door": .string(command.origin.door),
            "reference": .string(command.origin.reference),
            "createdAt": .time(command.createdAt),
            "notBefore": command.notBefore.map { .time($0) },
            "sentAt": command.sentAt.map { .time($0) },
            "answeredAt": command.answeredAt.map { .time($0) },
            "seenAt": command.seenAt.map { .time($0) },
            "answer": command.answer.map { .string($0) },
            "effect": command.effect.map { .string($0) },
            "reservation": reservation(of: command.command).map { .number($0) },
        ])
    }

    private static func reservation(of command: StationCommand) -> Int? {
        switch command {
        case .reserve(let reservation): reservation.id
        case .cancelReservation(let id): id
        default: nil
        }
    }

    static func parked(_ message: ParkedMessage) -> JSONValue {
        var value: [String: JSONValue] = [
            "receivedAt": .time(message.receivedAt), "reason": .string(message.reason),
            "state": .string(message.state.rawValue),
            "transaction": message.reference?.stored ?? .null,
        ]
        switch message.content {
        case .stop(let stop):
            value["kind"] = "stop"
            value["at"] = stop.at.map { .time($0) }
            value["meterStopWh"] = .number(stop.meterStop.value)
            value["token"] = stop.token.map { .string($0) }
            value["stopReason"] = .string(stop.reason.rawValue)
        case .readings(let report):
            value["kind"] = "readings"
            value["connector"] = .number(report.connector)
            value["readings"] = .number(report.readings.count)
        }
        return .object(value)
    }

    static func suspicion(_ suspicion: Suspicion) -> JSONValue {
        .members([
            "id": .number(suspicion.id), "at": .time(suspicion.at),
            "code": .string(suspicion.code.rawValue), "station": .string(suspicion.station),
            "connector": suspicion.connector.map { .number($0) },
            "session": suspicion.session.map { .string($0) },
            "detail": .string(suspicion.detail), "state": .string(suspicion.state.rawValue),
            "decidedBy": suspicion.decidedBy.map { .string($0) },
        ])
    }
}
