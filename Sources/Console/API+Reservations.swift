import CPO
import Charging
import JSON
import Service
import Web

extension Console {
    var reservationRoutes: [APIRoute] {
        [
            APIRoute(
                method: "GET", path: "/reservations", need: .role(.viewer),
                summary: "Reservations and what became of them, newest first",
                query: [
                    .init(name: "station", about: "of this station only"),
                    .init(
                        name: "state",
                        about: "asked, held, refused, cancelled, used or expired"),
                    .init(name: "token", about: "of this token's uid only"),
                    .init(name: "from", about: "made since, RFC 3339"),
                    .init(name: "until", about: "made before, RFC 3339"), .limit, .cursor,
                ], handler: reservationPage)
        ]
    }

    private func reservationPage(_ request: APIRequest) async throws -> HTTPResponse {
        var state: Reservations.State?
        if let wanted = request.http.query("state"), !wanted.isEmpty {
            state = Reservations.State(rawValue: wanted)
            guard state != nil else {
                let known = Reservations.State.allCases.map(\.rawValue).joined(separator: ", ")
                throw APIProblem.field("state", "must be one of \(known)")
            }
        }
        let station = request.http.query("station").flatMap { $0.isEmpty ? nil : $0 }
        let token = request.http.query("token").flatMap { $0.isEmpty ? nil : $0 }
        let (now, limit, wanted) = (house.clock.now, try request.limit(), state)
        let (from, until) = (try request.moment("from"), try request.moment("until"))
        let before = try request.before()
        let found = try await house.read { transaction in
            try self.house.reservations.list(
                station: station, token: token, state: wanted, from: from, until: until,
                before: before, at: now, limit: limit, in: transaction)
        }
        let next = found.count == limit ? found.last.map { "\($0.reservation.id)" } : nil
        return .page(found.map(Shape.reservation), next: next)
    }
}

extension Shape {
    static func reservation(_ record: Reservations.Record) -> JSONValue {
        let reservation = record.reservation
        return .members([
            "reservation": .number(reservation.id), "station": .string(record.station),
            "evse": .number(reservation.connector), "token": .string(reservation.token),
            "group": reservation.group.map { .string($0) }, "expires": .time(reservation.expires),
            "state": .string(record.state.rawValue), "party": .string(record.party.description),
            "partnerReference": record.partnerID.map { .string($0) },
            "session": record.session.map { .string($0) },
        ])
    }
}
