import CPO
import Charging
import JSON
import OCPI
import SQL
import Service
import TestSupport
import Testing
import Web

@Suite(.timeLimit(.minutes(1))) struct `A registered partner is sent` {
    /// Runs the door until `body` is through.
    static func running(
        _ house: OCPIHouse, stations: any StationLinks = ObedientStations(),
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { try await house.door.run() }
            group.addTask { try await house.cpo.commands.run(house.cpo, over: stations) }
            group.addTask { try await body() }
            try await group.next()
            group.cancelAll()
            // What was cancelled ends with an error of its own; the test has passed or thrown by now.
            while let result = await group.nextResult() { _ = result }
        }
    }

    @Test func `a session as it begins, moves and ends, then its bill`() async throws {
        let (house, partner) = (try await OCPIHouse(clock: .system), try Partner())
        _ = try await house.registered(partner)
        try await Self.running(house) {
            let begin = house.cpo.clock.now.advanced(bySeconds: -3600)
            func at(_ seconds: Int64) -> Timestamp { begin.advanced(bySeconds: seconds) }
            let charge = try await house.start(at: begin)
            let path = "/emsp/2.2.1/sessions/DE/KRB/\(charge.session)"
            let put = await partner.first { $0.method == "PUT" && $0.path == path }
            #expect(put.body["status"] == "ACTIVE")
            #expect(put.body["cdr_token"]?["uid"] == "CARD-1")
            #expect(put.body["total_cost"]?["excl_vat"] != nil)
            #expect(put.headers["OCPI-to-party-id"] == "EMS")
            #expect(put.headers["OCPI-from-party-id"] == "KRB")
            #expect(put.headers["X-Request-ID"] != nil)
            #expect(put.headers["X-Correlation-ID"] != nil)

            try await house.meter(charge.transaction, at: at(1800), 6000)
            let patch = await partner.first { $0.method == "PATCH" && $0.path == path }
            #expect(patch.body["kwh"]?.decimal == Decimal(5))
            #expect(patch.body["last_updated"]?.time != nil)
            #expect(patch.body["charging_periods"] == nil)

            try await house.status(.suspendedEV, at: at(3000))
            try await house.stop(charge.transaction, at: at(3090), 11_000)
            let final = await partner.first {
                $0.method == "PUT" && $0.path == path && $0.body["status"] == "COMPLETED"
            }
            let bill = await partner.first { $0.path.hasPrefix("/emsp/2.2.1/cdrs") }
            Self.check(bill.body, session: charge.session)
            #expect(final.body["kwh"] == bill.body["total_energy"])
            #expect(final.body["total_cost"] == bill.body["total_cost"])
            let bills = partner.received.filter {
                $0.path == path && $0.body["status"] == "COMPLETED" || $0.method == "POST"
            }
            #expect(bills.map(\.method) == ["PUT", "POST"])
            // Kept once the partner's answer is back here.
            var receipt: String?
            while receipt == nil {
                await Task.yield()
                receipt = try await house.cpo.read { transaction in
                    try transaction.queryOne("SELECT location FROM ocpi_cdr_receipt")?
                        .text("location")
                }
            }
            #expect(receipt == "\(partner.base)/2.2.1/cdrs/stored")
        }
        await partner.stop()
    }

    /// 10 kWh, 50 minutes of charging, 90 s of parking billed as 120: 1.00 + 4.90 + 0.20.
    static func check(_ cdr: JSONValue, session: String) {
        #expect(cdr["session_id"]?.string == session)
        #expect(cdr["total_cost"]?["excl_vat"]?.decimal == Decimal("6.1"))
        #expect(cdr["total_cost"]?["incl_vat"]?.decimal == Decimal("7.26"))
        #expect(cdr["total_energy"]?.decimal == Decimal(10))
        #expect(cdr["total_time"]?.decimal == Decimal("0.8583"))
        #expect(cdr["total_parking_time"]?.decimal == Decimal("0.025"))
        #expect(cdr["total_parking_cost"]?["excl_vat"]?.decimal == Decimal("0.2"))
        #expect(cdr["cdr_location"]?["evse_id"] == "DE*KRB*EL-1*1")
        #expect(cdr["cdr_location"]?["country"] == "DEU")
        #expect(cdr["tariffs"]?[0]?["id"] == "T-1")
        var volumes: [String: Decimal] = [:]
        for period in cdr["charging_periods"]?.array ?? [] {
            for dimension in period["dimensions"]?.array ?? [] {
                volumes[dimension["type"]?.string ?? "", default: .zero] =
                    volumes[dimension["type"]?.string ?? "", default: .zero]
                    + (dimension["volume"]?.decimal ?? .zero)
            }
        }
        #expect(volumes["ENERGY"] == cdr["total_energy"]?.decimal)
        #expect(volumes["PARKING_TIME"] == cdr["total_parking_time"]?.decimal)
        #expect(
            (volumes["TIME"] ?? .zero) + (volumes["PARKING_TIME"] ?? .zero)
                == cdr["total_time"]?.decimal)
        let parts = ["fixed", "energy", "time", "parking", "reservation"].reduce(Decimal.zero) {
            $0 + (cdr["total_\($1)_cost"]?["excl_vat"]?.decimal ?? .zero)
        }
        #expect(parts == cdr["total_cost"]?["excl_vat"]?.decimal)
    }

    @Test func `places, statuses and tariffs as they change`() async throws {
        let (house, partner) = (try await OCPIHouse(clock: .system), try Partner())
        _ = try await house.registered(partner)
        try await Self.running(house) {
            let now = house.cpo.clock.now
            _ = try await house.cpo.write { transaction in
                var tariff = OCPIHouse.tariff("T-2")
                tariff.kind = "REGULAR"
                try house.cpo.tariffs.put(tariff, at: now, in: transaction)
                try house.cpo.locations.put(
                    OCPIHouse.location("L-2", at: now), at: now, in: transaction)
            }
            let tariff = await partner.first { $0.path == "/emsp/2.2.1/tariffs/DE/KRB/T-2" }
            #expect(tariff.body["elements"]?.array?.count == 1)
            let place = await partner.first { $0.path == "/emsp/2.2.1/locations/DE/KRB/L-2" }
            #expect(place.method == "PUT")
            #expect(place.body["evses"]?.array?.count == 2)
            try await house.status(.charging, at: now)
            let status = await partner.first {
                $0.path == "/emsp/2.2.1/locations/DE/KRB/L-1/L-1-E1"
            }
            #expect(status.method == "PATCH")
            #expect(status.body["status"] == "CHARGING")
            #expect(status.body["last_updated"]?.time != nil)
            _ = try await house.cpo.write { transaction in
                try house.cpo.tariffs.delete("T-2", at: now, in: transaction)
            }
            _ = await partner.first {
                $0.method == "DELETE" && $0.path == "/emsp/2.2.1/tariffs/DE/KRB/T-2"
            }
        }
        await partner.stop()
    }

    @Test func `the whole session again when it refuses a PATCH`() async throws {
        let (house, partner) = (try await OCPIHouse(clock: .system), try Partner())
        _ = try await house.registered(partner)
        partner.script { request in
            request.method == "PATCH" ? Partner.envelope(nil, status: 404, code: 2001) : nil
        }
        try await Self.running(house) {
            let begin = house.cpo.clock.now.advanced(bySeconds: -600)
            let charge = try await house.start(at: begin)
            try await house.meter(charge.transaction, at: begin.advanced(bySeconds: 60), 1500)
            let put = await partner.first {
                $0.method == "PUT" && $0.body["kwh"]?.decimal == Decimal("0.5")
            }
            #expect(put.body["charging_periods"]?.array?.count == 1)
        }
        await partner.stop()
    }

    @Test func `nothing of what is another's`() async throws {
        let house = try await OCPIHouse(clock: .system)
        let other = try Partner(PartyID(country: "BE", party: "XYZ"))
        let owner = try Partner()
        _ = try await house.registered(other)
        _ = try await house.registered(owner)
        try await Self.running(house) {
            let begin = house.cpo.clock.now.advanced(bySeconds: -600)
            let charge = try await house.start(at: begin)
            try await house.stop(charge.transaction, at: begin.advanced(bySeconds: 60), 2000)
            _ = await owner.first { $0.path.hasPrefix("/emsp/2.2.1/cdrs") }
            let now = house.cpo.clock.now
            _ = try await house.cpo.write { transaction in
                try house.cpo.tariffs.put(OCPIHouse.tariff("T-9"), at: now, in: transaction)
            }
            // It is read in order: what came before this would have been sent by now.
            _ = await other.first { $0.path.hasSuffix("T-9") }
        }
        #expect(
            !other.received.contains { $0.path.contains("sessions") || $0.path.contains("cdrs") })
        await other.stop()
        await owner.stop()
    }

    @Test func `its bill in the end though it was down, and nobody else waits for it`() async throws
    {
        let house = try await OCPIHouse(callDeadlineSeconds: 1, clock: .system)
        let other = PartyID(country: "BE", party: "XYZ")
        let (down, up) = (try Partner(), try Partner(other))
        _ = try await house.registered(down)
        _ = try await house.registered(up)
        let now = house.cpo.clock.now
        _ = try await house.cpo.write { transaction in
            try house.cpo.tokens.put(
                OCPIHouse.token("OTHER", party: other), at: now, in: transaction)
        }
        let isUp = Lock(false)
        let tries = Lock(0)
        down.script { request in
            guard request.path.contains("sessions") || request.path.contains("cdrs"),
                !isUp.withLock({ $0 })
            else { return nil }
            tries.withLock { $0 += 1 }
            return HTTPResponse(503)
        }
        try await Self.running(house) {
            let begin = now.advanced(bySeconds: -600)
            let mine = try await house.start(at: begin)
            let theirs = try await house.start(token: "OTHER", connector: 2, at: begin)
            let end = begin.advanced(bySeconds: 60)
            try await house.stop(mine.transaction, at: end, 2000)
            try await house.stop(theirs.transaction, at: end, 3000)
            _ = await down.first { $0.path.contains("sessions") }
            _ = await up.first { $0.path.hasPrefix("/emsp/2.2.1/cdrs") }
            #expect(!isUp.withLock { $0 })
            isUp.withLock { $0 = true }
            let late = await down.first { $0.path.hasPrefix("/emsp/2.2.1/cdrs") }
            #expect(late.body["session_id"]?.string == mine.session)
        }
        #expect(tries.withLock { $0 } > 0)
        await down.stop()
        await up.stop()
    }

    @Test func `a bill that was set aside when a person wants it`() async throws {
        let (house, partner) = (try await OCPIHouse(clock: .system), try Partner())
        _ = try await house.registered(partner)
        try await Self.running(house) {
            let now = house.cpo.clock.now
            let charge = try await house.start(at: now.advanced(bySeconds: -600))
            try await house.stop(charge.transaction, at: now, 2000)
            _ = await partner.first { $0.path.hasPrefix("/emsp/2.2.1/cdrs") }
            let peer = try #require(house.door.peers.all().first)
            let line = try #require(
                try await house.cpo.journal.lines(after: 0).first { $0.kind == .cdrCreated })
            try await house.cpo.write {
                try house.cpo.journal.park(
                    "ocpi/\(peer.id)/bill", line.seq, reason: "HTTP 400", at: now, in: $0)
            }
            let stuck = try await house.stuck { $0.count == 1 }
            #expect(house.cpo.deliveries.partner(of: stuck[0].reader) == "EMS")
            let outcome = try await house.cpo.write {
                try house.cpo.deliveries.retry(stuck[0].id, at: now, in: $0)
            }
            #expect(outcome == .asked)
            house.cpo.deliveries.wake()
            _ = try await house.stuck { $0.isEmpty }
            let bills = partner.received.filter { $0.path.hasPrefix("/emsp/2.2.1/cdrs") }
            #expect(bills.count == 2)
            #expect(bills[0].body == bills[1].body)
        }
        await partner.stop()
    }

    @Test func `nothing more once it left; what it never took stays in sight`() async throws {
        let (house, partner) = (try await OCPIHouse(clock: .system), try Partner())
        _ = try await house.registered(partner)
        partner.script { request in
            request.path.contains("cdrs") ? HTTPResponse(503) : nil
        }
        try await Self.running(house) {
            let now = house.cpo.clock.now
            let charge = try await house.start(at: now.advanced(bySeconds: -600))
            try await house.stop(charge.transaction, at: now, 2000)
            _ = await partner.first { $0.path.contains("cdrs") }
            let peer = try #require(house.door.peers.all().first)
            try await house.door.leave(peer.id)
            let left = try await house.stuck { $0.count == 1 }
            #expect(left[0].kind == "cdr.created")
            #expect(left[0].reason == "the connection ended")
            for reader in ["ocpi/\(peer.id)/state", "ocpi/\(peer.id)/bill"] {
                while try await house.cpo.journal.cursor(of: reader) != nil {
                    try Task.checkCancellation()
                    await Task.yield()
                }
            }
        }
        await partner.stop()
    }

    @Test func `nothing by readers that an earlier version left behind`() async throws {
        let house = try await OCPIHouse(clock: .system)
        try await house.cpo.write {
            try house.cpo.journal.move("ocpi/gone/bill", to: 1, at: OCPIHouse.noon, in: $0)
        }
        try await Self.running(house) {
            while try await house.cpo.journal.cursor(of: "ocpi/gone/bill") != nil {
                try Task.checkCancellation()
                await Task.yield()
            }
        }
    }

    @Test func `the same bill again when the program ended in the middle of its delivery`()
        async throws
    {
        let folder = TemporaryFolder()
        let partner = try Partner()
        let first = try await OCPIHouse(path: folder.file("kerb.sqlite"), clock: .system)
        _ = try await first.registered(partner)
        let bodies = Lock<[JSONValue]>([])
        // Takes the bill and never says so.
        partner.script { request in
            guard request.path.contains("cdrs") else { return nil }
            let body = (try? JSONValue(parsing: request.body)) ?? .null
            let count = bodies.withLock { bodies in
                bodies.append(body)
                return bodies.count
            }
            // The second time it says what many say: it has it already.
            return count == 1 ? nil : Partner.envelope(nil, status: 409, code: 2001)
        }
        try await Self.running(first) {
            let begin = first.cpo.clock.now.advanced(bySeconds: -600)
            let charge = try await first.start(at: begin)
            try await first.stop(charge.transaction, at: begin.advanced(bySeconds: 60), 2000)
            // The door is cut off as soon as the partner has the bill, before its answer is read.
            _ = await partner.first { $0.path.contains("cdrs") }
        }
        await first.cpo.database.close()
        let second = try await OCPIHouse(
            path: folder.file("kerb.sqlite"), clock: .system, isNew: false)
        try await Self.running(second) {
            var receipts = 0
            while receipts == 0 {
                await Task.yield()
                receipts = try await second.cpo.read { transaction in
                    try transaction.query("SELECT cdr FROM ocpi_cdr_receipt").count
                }
            }
            #expect(receipts == 1)
        }
        let sent = bodies.withLock { $0 }
        #expect(sent.allSatisfy { $0 == sent.first })
        await partner.stop()
    }
}
