import CPO
import Charging
import JSON
import SQL
import Service
import Web

// What looks wrong waits here for a person: accepted as it is, corrected, or voided.
extension Console {
    static let longestReason = 500
    /// Messages of one line of the list that are shown with it.
    static let mostParkedShown = 20

    var reviewRoutes: [APIRoute] {
        [
            APIRoute(
                method: "GET", path: "/suspicions", need: .role(.viewer),
                summary:
                    "What looks wrong, newest first; what waits for a person unless `state` says else",
                query: [
                    .init(name: "state", about: "open, accepted, corrected, voided or all"),
                    .init(name: "session", about: "about this session only"), .limit, .cursor,
                ], handler: suspicionPage),
            APIRoute(
                method: "POST", path: "/suspicions/{id}/decision", need: .role(.operator),
                summary: """
                    A person's word: `accept` leaves the bill as it is, `void` takes it back, `bind` \
                    gives what was kept of an unknown transaction to a session
                    """,
                body: "{\"decision\": \"accept|void|bind\", \"reason\": TEXT, \"session\"?: ID}",
                handler: decide),
            APIRoute(
                method: "POST", path: "/sessions/{id}/correction", need: .role(.operator),
                summary: "Bills a session anew: a credit of the former bill, then a new one",
                body: """
                    {"reason": TEXT, "meterStartWh"?, "meterStopWh"?, "startedAt"?, "endedAt"?} \
                    or {"reason": TEXT, "void": true}
                    """, handler: correct),
        ]
    }

    private func suspicionPage(_ request: APIRequest) async throws -> HTTPResponse {
        var state: Suspicion.State? = .open
        if let wanted = request.http.query("state"), wanted != "all" {
            guard let known = Suspicion.State(rawValue: wanted) else {
                throw APIProblem.field(
                    "state", "must be open, accepted, corrected, voided or all")
            }
            state = known
        } else if request.http.query("state") == "all" {
            state = nil
        }
        let limit = try request.limit()
        let found = try await house.suspicions.list(
            state: state, session: request.http.query("session"), before: try request.before(),
            limit: limit)
        var items: [JSONValue] = []
        for one in found { items.append(try await shape(one)) }
        return .page(items, next: found.count == limit ? found.last.map { "\($0.id)" } : nil)
    }

    /// With the amount at stake, so that a person sees what the decision costs.
    private func shape(_ suspicion: Suspicion) async throws -> JSONValue {
        var value = Shape.suspicion(suspicion).object ?? [:]
        if let id = suspicion.session, let session = try await house.sessions.session(id) {
            value["energyWh"] = .number(session.energy.value)
            value["sessionStatus"] = .string(session.status.rawValue)
            value["cost"] = session.cost.map(Shape.cost)
        }
        let (parked, total) = try await house.sessions.parked(
            suspicion: suspicion.id, limit: Self.mostParkedShown)
        if total > 0 {
            value["parked"] = .array(parked.map(Shape.parked))
            value["parkedCount"] = .number(total)
        }
        return .object(value)
    }

    private func decide(_ request: APIRequest) async throws -> HTTPResponse {
        let text = request[parameter: "id"]
        guard let id = Int64(text), let suspicion = try await house.suspicions.suspicion(id) else {
            throw APIProblem.notFound("suspicion", text)
        }
        guard suspicion.state == .open else {
            throw APIProblem(
                409, "already decided",
                detail: "\(suspicion.state.rawValue) by \(suspicion.decidedBy ?? "somebody")")
        }
        let body = try request.object()
        let isBound = body["decision"]?.string == "bind"
        try body.refuseStrangers(
            isBound ? ["decision", "reason", "session"] : ["decision", "reason"])
        let reason = try Self.reason(body)
        switch body["decision"]?.string {
        case "accept":
            let now = house.clock.now
            let isDecided = try await house.write { transaction in
                // First: one that was decided meanwhile is left as it is.
                guard
                    try self.house.suspicions.decide(
                        id, .accepted, by: request.caller.name, at: now, in: transaction)
                else { return false }
                try self.audit.note(
                    request.caller, "suspicion.accept", text, ["reason": .string(reason)],
                    in: transaction)
                try self.house.sessions.settleParked(id, .kept, in: transaction)
                return true
            }
            guard isDecided else { throw APIProblem(409, "already decided") }
            return .noContent
        case "void":
            guard let session = suspicion.session else {
                return try await voidParked(id, reason, request)
            }
            return try await correct(
                session, Correction(.void, by: request.caller.name, reason: reason), request)
        case "bind":
            guard let session = body["session"]?.string, !session.isEmpty else {
                throw APIProblem.field("session", "must be the id of the session it belongs to")
            }
            return try await bind(id, session, reason, request)
        default: throw APIProblem.field("decision", "must be accept, void or bind")
        }
    }

    /// What came of no known transaction is nobody's: nothing was billed from it.
    private func voidParked(
        _ id: Int64, _ reason: String, _ request: APIRequest
    ) async throws -> HTTPResponse {
        guard try await house.sessions.parked(suspicion: id, limit: 1).total > 0 else {
            // Nothing was billed from it, so there is nothing to take back.
            throw APIProblem.field(
                "decision", "must be accept: no session and no bill came of it")
        }
        let now = house.clock.now
        try await house.write { transaction in
            try self.audit.note(
                request.caller, "suspicion.void", "\(id)", ["reason": .string(reason)],
                in: transaction)
            try self.house.sessions.settleParked(id, .voided, in: transaction)
            _ = try self.house.suspicions.decide(
                id, .voided, by: request.caller.name, at: now, in: transaction)
        }
        return .noContent
    }

    private func bind(
        _ id: Int64, _ session: String, _ reason: String, _ request: APIRequest
    ) async throws -> HTTPResponse {
        let now = house.clock.now
        do {
            try await house.write { transaction in
                try self.audit.note(
                    request.caller, "suspicion.bind", "\(id)",
                    ["reason": .string(reason), "session": .string(session)], in: transaction)
                try self.house.sessions.bindParked(
                    id, to: session, by: request.caller.name, at: now, in: transaction)
            }
        } catch let refusal as Sessions.BindingRefusal {
            throw refusal.problem(session)
        }
        guard let bound = try await house.sessions.session(session) else {
            throw APIProblem.notFound("session", session)
        }
        return .json(Shape.session(bound, house))
    }

    private func correct(_ request: APIRequest) async throws -> HTTPResponse {
        let body = try request.object(only: [
            "reason", "void", "meterStartWh", "meterStopWh", "startedAt", "endedAt",
        ])
        let reason = try Self.reason(body)
        let kind: Correction.Kind
        if body["void"]?.bool == true {
            guard body.object?.count == 2 else {
                throw APIProblem.field("void", "leaves no figures to correct")
            }
            kind = .void
        } else {
            kind = .figures(
                Correction.Figures(
                    meterStart: try Self.register("meterStartWh", body),
                    meterStop: try Self.register("meterStopWh", body),
                    startedAt: try Self.moment("startedAt", body),
                    endedAt: try Self.moment("endedAt", body)))
        }
        return try await correct(
            request[parameter: "id"],
            Correction(kind, by: request.caller.name, reason: reason), request)
    }

    private func correct(
        _ session: String, _ correction: Correction, _ request: APIRequest
    ) async throws -> HTTPResponse {
        let now = house.clock.now
        do {
            let bill = try await house.write { transaction in
                let bill = try self.house.sessions.correct(
                    session, correction, at: now, in: transaction)
                try self.audit.note(
                    request.caller, correction.kind == .void ? "session.void" : "session.correct",
                    session,
                    .members([
                        "reason": .string(correction.reason),
                        "credit": bill.credit.map { .string($0) },
                        "cdr": bill.bill.map { .string($0) },
                    ]), in: transaction)
                return bill
            }
            return .json(
                .members([
                    "session": Shape.session(bill.session, house),
                    "credit": bill.credit.map { .string($0) }, "cdr": bill.bill.map { .string($0) },
                ]))
        } catch let refusal as CorrectionRefusal {
            throw refusal.problem(session)
        }
    }

    static func reason(_ body: JSONValue) throws(APIProblem) -> String {
        guard let reason = body["reason"]?.string, !reason.isEmpty,
            reason.unicodeScalars.count <= longestReason
        else {
            throw .field("reason", "must be a text of 1 to \(longestReason) characters")
        }
        return reason
    }

    private static func register(_ name: String, _ body: JSONValue) throws(APIProblem)
        -> WattHours?
    {
        guard let value = body[name] else { return nil }
        guard let number = value.int64, number >= 0 else {
            throw .field(name, "must be a whole number of Wh, from 0")
        }
        return WattHours(number)
    }

    private static func moment(_ name: String, _ body: JSONValue) throws(APIProblem) -> Timestamp? {
        guard let value = body[name] else { return nil }
        guard let moment = value.time else {
            throw .field(name, "must be a time like 2026-01-31T12:00:00Z")
        }
        return moment
    }
}

extension Sessions.BindingRefusal {
    fileprivate func problem(_ session: String) -> APIProblem {
        switch self {
        case .nothingParked:
            .field("decision", "must be accept or void: nothing of it waits for a session")
        case .unknownSession: .notFound("session", session)
        case .otherStation: .field("session", "is of another station")
        case .hasItsStop:
            APIProblem(
                409, "the session has its stop", detail: "correct the session instead",
                field: "session")
        }
    }
}

extension CorrectionRefusal {
    fileprivate func problem(_ session: String) -> APIProblem {
        switch self {
        case .unknownSession: .notFound("session", session)
        case .stillRunning:
            APIProblem(409, "the session has no end yet", detail: "stop it, or wait for its stop")
        case .stopBelowStart: .field("meterStopWh", "is below the register at the start")
        case .endBeforeStart: .field("endedAt", "must be after the start")
        case .endInFuture: .field("endedAt", "lies in the future")
        case .tooMuch(let energy):
            .field("meterStopWh", "would bill \(energy), more than one charge can come to")
        case .nothingChanges: APIProblem(409, "nothing would change")
        case .tooMany: APIProblem(409, "this session was corrected too often")
        case .readingsGone:
            APIProblem(
                409, "its readings are gone",
                detail: "they went after `retention.readingsDays`; it can be voided")
        }
    }
}
