import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import Web

extension Console {
    static let longestWaitSeconds = 60

    var commandRoutes: [APIRoute] {
        [
            APIRoute(
                method: "POST", path: "/stations/{id}/commands", need: .role(.operator),
                summary: "Orders a station to do something", query: [.wait],
                body: """
                    {"command": "start", "evse": 1, "token": "…"} (an unknown token only with \
                    "unknownToken": true) and its kin (stop, unlock, reset, setAvailability with \
                    "at"? (a time to come: it waits, is sent then or within a day of it, and can be \
                    taken back), changeSetting, getSettings, clearCache, trigger, setLimit with \
                    amperes or watts, until and stackLevel, clearLimits, getComposite, reserve, \
                    cancelReservation, sendLocalList, getLocalListVersion, data, updateFirmware, \
                    sendLog, certificateSigned, installRoot, deleteCertificate, listRoots, \
                    extendedTrigger), or raw: \
                    {"action": "Reset", "payload": {…}} in the station's own OCPP version
                    """, handler: postCommand),
            APIRoute(
                method: "GET", path: "/commands", need: .role(.viewer),
                summary: "Commands, newest first",
                query: [.init(name: "station", about: "of this station only"), .limit],
                handler: commandPage),
            APIRoute(
                method: "GET", path: "/commands/{id}", need: .role(.viewer),
                summary: "A command's life so far", query: [.wait], handler: command),
            APIRoute(
                method: "DELETE", path: "/commands/{id}", need: .role(.operator),
                summary: "Takes a command back that was not sent yet; 409 when it was",
                handler: cancelCommand),
        ]
    }

    private func postCommand(_ request: APIRequest) async throws -> HTTPResponse {
        let wait = try waitSeconds(request)
        let body = try request.object()
        let station = request[parameter: "id"]
        let order = try CommandBody(body, now: house.clock.now)
        let caller = request.caller
        let origin = CommandOrigin(
            door: caller.csrf == nil ? "api" : "console", reference: caller.name)
        let now = house.clock.now
        let command: Command
        switch order {
        case .start(let connector, let tag, let isUnknown):
            command = try await start(
                tag, at: station, connector, isUnknown: isUnknown, origin, caller)
        case .stop(let session):
            command = try await house.write { transaction in
                guard
                    try self.house.sessions.session(session, in: transaction)?.station.lowercased()
                        == station.lowercased()
                else { throw CommandRefusal.unknownSession }
                let command = try self.house.stop(
                    session: session, origin: origin, at: now, in: transaction)
                try self.note(command, caller, in: transaction)
                return command
            }
        case .reserve(let connector, let tag, let expires, let number):
            command = try await house.write { transaction in
                let token = try self.token(tag, at: now, in: transaction)
                let command = try self.house.reserve(
                    .station(station, connector: connector),
                    .init(token: token, expires: expires), replacing: number, origin: origin,
                    at: now, in: transaction)
                try self.note(command, caller, in: transaction)
                return command
            }
        case .cancelReservation(let number):
            command = try await house.write { transaction in
                guard
                    try self.house.reservations.find(number, in: transaction)?.station.lowercased()
                        == station.lowercased()
                else { throw CommandRefusal.unknownReservation }
                let command = try self.house.cancel(
                    reservation: number, origin: origin, at: now, in: transaction)
                try self.note(command, caller, in: transaction)
                return command
            }
        case .scheduled(let order, let due):
            command = try await schedule(order, to: station, at: due, origin, caller)
        case .other(let other):
            let checked = try connections.checkCommand?(other, station) ?? other
            command = try await house.send(checked, to: station, origin: origin)
            let sent = command
            try await house.write { try self.note(sent, caller, in: $0) }
        }
        if wait > 0, let settled = try await house.commands.settled(command.id, withinSeconds: wait)
        {
            return .json(Shape.command(settled), status: settled.state.isSettled ? 200 : 202)
        }
        return .json(
            Shape.command(command), status: 202,
            headers: ["Location": "/api/v1/commands/\(command.id)"])
    }

    private func schedule(
        _ order: StationCommand, to station: String, at due: Timestamp, _ origin: CommandOrigin,
        _ caller: Caller
    ) async throws -> Command {
        let checked = try connections.checkCommand?(order, station) ?? order
        return try await house.write { transaction in
            guard
                let command = try self.house.schedule(
                    checked, to: station, at: due, origin: origin, in: transaction)
            else {
                throw APIProblem(
                    409, "too many wait for their time",
                    detail: "\(Commands.mostScheduled) of this station do; take one back "
                        + "(DELETE /commands/ID)")
            }
            try self.note(command, caller, in: transaction)
            return command
        }
    }

    func note(_ command: Command, _ caller: Caller, in transaction: Transaction) throws {
        try audit.note(
            caller, "command.\(command.command.name)", command.station,
            ["command": .string(command.id)], status: 202, in: transaction)
    }

    /// Whose account a reservation is on: the token that is known by this tag, else one for this once.
    private func token(
        _ tag: String, at now: Timestamp, in transaction: Transaction
    ) throws -> Token {
        if let known = try house.tokens.candidates(idTag: Tokens.idTag(of: tag), in: transaction)
            .first
        {
            guard known.isValid else { throw APIProblem.field("token", "is known, but not valid") }
            return known
        }
        return adHoc(tag, at: now)
    }

    private func commandPage(_ request: APIRequest) async throws -> HTTPResponse {
        let found = try await house.commands.list(
            station: request.http.query("station"), limit: try request.limit())
        return .page(found.map(Shape.command), next: nil)
    }

    private func command(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        let wait = try waitSeconds(request)
        let found =
            wait > 0
            ? try await house.commands.settled(id, withinSeconds: wait)
            : try await house.commands.command(id)
        guard let found else { throw APIProblem.notFound("command", id) }
        return .json(Shape.command(found))
    }

    private func cancelCommand(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        try await house.write { transaction in
            try self.audit.note(request.caller, "command.cancel", id, in: transaction)
        }
        switch try await house.commands.cancel(id, in: house) {
        case nil: throw APIProblem.notFound("command", id)
        case .cancelled(let command): return .json(Shape.command(command))
        case .tooLate(let command):
            throw APIProblem(
                409, "the station has it already",
                detail: "it is \(command.state.rawValue); order the opposite instead")
        }
    }

    func waitSeconds(_ request: APIRequest) throws -> Int {
        guard let text = request.http.query("wait") else { return 0 }
        guard let seconds = Int(text), (0...Self.longestWaitSeconds).contains(seconds) else {
            throw APIProblem.field("wait", "must be from 0 to \(Self.longestWaitSeconds) seconds")
        }
        return seconds
    }
}
