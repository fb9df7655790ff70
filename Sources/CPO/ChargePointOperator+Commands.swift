import Charging
import Crypto
import SQL
import Service

/// The one way to a charger for every door: OCPI, Beckn, console and API ask here.
extension ChargePointOperator {
    /// Where a charge shall begin.
    package enum Target: Hashable, Sendable {
        /// An EVSE by its OCPI uid.
        case evse(uid: String)
        /// nil lets the station choose.
        case station(String, connector: ConnectorNumber?)
    }

    /// Asks for a charge.
    ///
    /// - Parameter token: who pays; it may be unknown to the house. It goes into session and bill.
    /// - Parameter tariffID: the tariff it was sold under, where that is not the plug's own.
    /// - Returns: the queued command; follow it with `commands.changes(of:)`. Its `effect` is the
    ///   session's id once it is `seen`.
    /// - Throws: `CommandRefusal` when it is clear beforehand that it cannot work.
    package func start(
        _ target: Target, token: Token, authorizationReference: String? = nil,
        tariffID: String? = nil, origin: CommandOrigin
    ) async throws -> Command {
        let now = clock.now
        return try await write { transaction in
            try self.start(
                target, token: token, authorizationReference: authorizationReference,
                tariffID: tariffID, origin: origin, at: now, in: transaction)
        }
    }

    /// The same inside a door's own transaction.
    package func start(
        _ target: Target, token: Token, authorizationReference: String? = nil,
        tariffID: String? = nil, origin: CommandOrigin, at: Timestamp, in transaction: Transaction
    ) throws -> Command {
        let (id, connector) = try resolve(target)
        let station = try reachable(id, in: transaction)
        if let connector {
            let plug = station.connectors.first { $0.number == connector }
            // A plug that says Available after the charge began lost that charge's stop; it must not
            // stay occupied until somebody comes with a card. The new start closes the old one.
            if let since = sessions.openSince(station: station.id, connector: connector),
                plug?.status != .available || plug.map({ $0.at <= since }) ?? true
            {
                throw CommandRefusal.occupied
            }
            switch plug?.status {
            case .faulted, .unavailable: throw CommandRefusal.inoperative
            case .none, .available, .preparing, .charging, .suspendedEV, .suspendedEVSE,
                .finishing, .reserved:
                break
            }
        }
        let command = Command(
            id: UUID4.make(), station: station.id,
            command: .start(connector: connector, token: Tokens.idTag(of: token.uid)),
            origin: origin, token: token, authorizationReference: authorizationReference,
            tariffID: tariffID, createdAt: at)
        try commands.enqueue(command, in: transaction)
        return command
    }

    /// Asks for the end of a running session, by its id.
    package func stop(session id: String, origin: CommandOrigin) async throws -> Command {
        let now = clock.now
        return try await write { transaction in
            try self.stop(session: id, origin: origin, at: now, in: transaction)
        }
    }

    /// The same inside a door's own transaction.
    package func stop(
        session id: String, origin: CommandOrigin, at: Timestamp, in transaction: Transaction
    ) throws -> Command {
        guard let session = try sessions.session(id, in: transaction) else {
            throw CommandRefusal.unknownSession
        }
        guard session.endedAt == nil, let reference = session.transaction else {
            throw CommandRefusal.sessionNotRunning
        }
        let station = try reachable(session.station, in: transaction)
        let command = Command(
            id: UUID4.make(), station: station.id, command: .stop(reference), origin: origin,
            authorizationReference: session.authorizationReference, createdAt: at)
        try commands.enqueue(command, in: transaction)
        return command
    }

    /// Asks for a plug's lock to be opened, which ends a charge that runs there.
    package func unlock(
        _ target: Target, origin: CommandOrigin, at: Timestamp, in transaction: Transaction
    ) throws -> Command {
        let (id, connector) = try resolve(target)
        guard let connector else { throw CommandRefusal.unknownEVSE }
        let station = try reachable(id, in: transaction)
        let command = Command(
            id: UUID4.make(), station: station.id, command: .unlock(connector: connector),
            origin: origin, createdAt: at)
        try commands.enqueue(command, in: transaction)
        return command
    }

    /// Asks anything else of a station: unlock, reset, availability, settings, trigger, raw.
    package func send(
        _ command: StationCommand, to station: String, origin: CommandOrigin
    ) async throws -> Command {
        let now = clock.now
        return try await write { transaction in
            let record = try self.reachable(station, in: transaction)
            try self.sites.check(command, at: record.id)
            let row = Command(
                id: UUID4.make(), station: record.id, command: command, origin: origin,
                createdAt: now)
            try self.commands.enqueue(row, in: transaction)
            return row
        }
    }

    /// The same once its time has come, whether the station is there now or not.
    ///
    /// - Returns: nil where as many wait for this station as may.
    package func schedule(
        _ command: StationCommand, to station: String, at due: Timestamp, origin: CommandOrigin,
        in transaction: Transaction
    ) throws -> Command? {
        guard let record = try stations.station(station, in: transaction),
            record.registration == .accepted
        else { throw CommandRefusal.unknownStation }
        try sites.check(command, at: record.id)
        guard
            try commands.scheduled(station: record.id, in: transaction) < Commands.mostScheduled
        else { return nil }
        let row = Command(
            id: UUID4.make(), station: record.id, command: command, origin: origin,
            createdAt: clock.now, notBefore: due)
        try commands.enqueue(row, in: transaction)
        return row
    }

    func resolve(_ target: Target) throws -> (String, ConnectorNumber?) {
        switch target {
        case .station(let id, let connector): return (id, connector)
        case .evse(let uid):
            guard let place = locations.evse(uid) else { throw CommandRefusal.unknownEVSE }
            guard let station = place.evse.station, let number = place.evse.stationConnector else {
                throw CommandRefusal.inoperative
            }
            return (station, number)
        }
    }

    /// - Throws: `CommandRefusal` where no order reaches it.
    package func reachable(
        _ id: String, in transaction: Transaction
    ) throws -> StationRecord {
        guard let station = try stations.station(id, in: transaction),
            station.registration == .accepted
        else { throw CommandRefusal.unknownStation }
        guard station.isOnline else { throw CommandRefusal.offline }
        return station
    }
}
