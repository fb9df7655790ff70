import CPO
import Charging
import JSON
import TestSupport
import Testing
import Web

@testable import Console

@Suite(.timeLimit(.minutes(2))) struct `The review` {
    /// A charge of an unknown tag, 500 Wh, over and billed.
    private func billed(_ test: TestConsole) async throws -> String {
        let (house, now) = (test.house, test.clock.now)
        let start = StationEvent.sessionStarted(
            SessionStart(
                connector: 1, token: "STRANGER", meterStart: WattHours(1000),
                at: now.advanced(bySeconds: -900)))
        let reply = try await house.sessions.apply(start, from: "CS-1", receivedAt: now)
        guard case .started(let transaction, _) = reply else { throw Unexpected() }
        _ = try await house.sessions.apply(
            .sessionStopped(
                SessionStop(
                    transaction: transaction, meterStop: WattHours(1500),
                    at: now.advanced(bySeconds: -60), reason: .local)),
            from: "CS-1", receivedAt: now)
        return try #require(try await house.sessions.list().sessions.first?.id)
    }

    private struct Unexpected: Error {}

    private func open(_ test: TestConsole) async throws -> [JSONValue] {
        try await test.get("/suspicions")["items"]?.array ?? []
    }

    @Test func `shows what waits with the energy at stake, and takes a person's word`() async throws
    {
        let test = try await TestConsole()
        let session = try await billed(test)
        let waiting = try await open(test)
        let sessions = waiting.compactMap { $0["session"]?.string }
        #expect(sessions.contains(session))
        #expect(waiting[0]["energyWh"]?.int64 == 500)
        let id = try #require(waiting[0]["id"]?.int64)
        let path = "/suspicions/\(id)/decision"
        let word: JSONValue = ["decision": "accept", "reason": "he showed his card"]
        #expect(try await test.post(path, word, key: test.viewer).status == 403)
        #expect(
            try await test.post(path, ["decision": "accept"], key: test.operator)["field"]?.string
                == "reason")
        #expect(try await test.post(path, word, key: test.operator).status == 204)
        #expect(try await test.post(path, word, key: test.operator).status == 409)
        #expect(try await open(test).count == waiting.count - 1)
        let audit = try await test.get("/audit").json
        #expect(audit["items"]?[0]?["action"]?.string == "suspicion.accept")
        #expect(audit["items"]?[0]?["who"]?.string == "key desk")
        await test.server.stop()
    }

    @Test func `shows page by page what waits, newest first`() async throws {
        let test = try await TestConsole()
        for _ in 0..<2 { _ = try await billed(test) }
        let all = try await open(test).compactMap { $0["id"]?.int64 }
        try #require(all.count >= 2)
        var (seen, cursor) = ([Int64](), "")
        repeat {
            let page = try await test.get("/suspicions?limit=1&cursor=\(cursor)")
            seen += page["items"]?.array?.compactMap { $0["id"]?.int64 } ?? []
            cursor = page["next"]?.string ?? ""
        } while !cursor.isEmpty && seen.count <= all.count
        #expect(seen == all)
        #expect(all == all.sorted(by: >))
        let wrong = try await test.get("/suspicions?cursor=x")
        #expect(wrong["field"]?.string == "cursor")
        await test.server.stop()
    }

    @Test func `corrects a bill by a credit and a new one, and voids it`() async throws {
        let test = try await TestConsole()
        let session = try await billed(test)
        let path = "/sessions/\(session)/correction"
        let made = try await test.post(
            path, ["reason": "register was read", "meterStopWh": 1400], key: test.operator)
        #expect(made.status == 200)
        #expect(made["credit"]?.string == "\(session)-1C")
        #expect(made["cdr"]?.string == "\(session)-2")
        #expect(made["session"]?["energyWh"]?.int64 == 400)
        #expect(try await open(test).isEmpty)
        let again = try await test.post(
            path, ["reason": "nobody charged", "void": true], key: test.operator)
        #expect(again["credit"]?.string == "\(session)-2C")
        #expect(again["cdr"] == nil)
        #expect(try await test.get("/cdrs")["items"]?.array?.count == 4)
        let newest = try await test.get("/cdrs?newest=true&limit=1")
        #expect(newest["items"]?.array?.compactMap { $0["id"]?.string } == ["\(session)-2C"])
        let bills = try await test.get("/sessions/\(session)")["bills"]?.array ?? []
        #expect(bills.map { $0["creditOf"]?.string } == [nil, session, nil, "\(session)-2"])
        let owed = bills.compactMap { $0["cost"]?["exclVAT"]?.number.flatMap { Decimal($0.text) } }
        #expect(owed.count == 4 && owed.reduce(.zero, +) == .zero)
        // A bill, its credit, the next, its credit: for the accounts all columns add up to nothing.
        let table = CSV.bills(try await test.house.cdrs.list().cdrs).split(separator: "\r\n")
        let names = try #require(table.first).split(separator: ",")
        func column(_ name: String) throws -> [String] {
            let place = try #require(names.firstIndex(of: Substring(name)))
            return table.dropFirst().map {
                String($0.split(separator: ",", omittingEmptySubsequences: false)[place])
            }
        }
        #expect(
            try column("credit_of") == ["", session, "", "\(session)-2"])
        #expect(try column("energy_wh").compactMap { Int64($0) }.reduce(0, +) == 0)
        #expect(try column("energy_wh").last == "-400")
        let totals = try column("total_excl_vat").compactMap { Decimal($0) }
        #expect(totals.count == 4 && totals.reduce(.zero, +) == .zero)
        #expect(CSV.bills([], isContinued: true) == "")
        await test.server.stop()
    }

    @Test(
        arguments: [
            (["reason": "x", "meterStopWh": -1], "meterStopWh"),
            (["reason": "x", "meterStopWh": "1500"], "meterStopWh"),
            (["reason": "x", "meterStopWh": 10], "meterStopWh"),
            (["reason": "x", "endedAt": "noon"], "endedAt"),
            (["reason": "x", "endedAt": "2099-01-01T00:00:00Z"], "endedAt"),
            (["reason": "x", "void": true, "meterStopWh": 1400], "void"),
            (["reason": "x", "energy": 5], "energy"), (["meterStopWh": 1400], "reason"),
        ] as [(JSONValue, String)])
    func `refuses a correction that cannot be and names the field`(
        body: JSONValue, field: String
    ) async throws {
        let test = try await TestConsole()
        let session = try await billed(test)
        let answer = try await test.post(
            "/sessions/\(session)/correction", body, key: test.operator)
        #expect(answer.status == 422)
        #expect(answer["field"]?.string == field)
        #expect(try await test.get("/cdrs")["items"]?.array?.count == 1)
        await test.server.stop()
    }

    @Test func `gives what came of an unknown transaction to a session, or to nobody`()
        async throws
    {
        let test = try await TestConsole()
        let (house, now) = (test.house, test.clock.now)
        func stop(_ transaction: Int) async throws {
            _ = try await house.sessions.apply(
                .sessionStopped(
                    SessionStop(
                        transaction: .number(transaction), meterStop: WattHours(1500),
                        at: now.advanced(bySeconds: -60), reason: .local)),
                from: "CS-1", receivedAt: now)
        }
        for transaction in [77, 78] { try await stop(transaction) }
        _ = try await house.sessions.apply(
            .sessionStarted(
                SessionStart(
                    connector: 1, token: "STRANGER", meterStart: WattHours(1000),
                    at: now.advanced(bySeconds: -900))),
            from: "CS-1", receivedAt: now)
        let session = try #require(house.sessions.running().first?.id)
        let waiting = try await open(test).filter { $0["parked"] != nil }
        #expect(waiting.map { $0["parked"]?[0]?["transaction"]?.int } == [78, 77])
        #expect(waiting[0]["parked"]?[0]?["meterStopWh"]?.int64 == 1500)
        func decide(_ line: JSONValue, _ word: JSONValue) async throws -> TestConsole.Answer {
            let id = try #require(line["id"]?.int64)
            return try await test.post("/suspicions/\(id)/decision", word, key: test.operator)
        }
        #expect(
            try await decide(waiting[0], ["decision": "void", "reason": "a test drive"]).status
                == 204)
        let nameless: JSONValue = ["decision": "bind", "reason": "it is his"]
        #expect(try await decide(waiting[1], nameless)["field"]?.string == "session")
        let bound = try await decide(
            waiting[1],
            ["decision": "bind", "reason": "it is his", "session": .string(session)])
        #expect(bound.status == 200)
        #expect(bound["energyWh"]?.int64 == 500)
        let actions = try await test.get("/audit")["items"]?.array?.map { $0["action"]?.string }
        #expect(actions?.prefix(2) == ["suspicion.bind", "suspicion.void"])
        #expect(try await open(test).allSatisfy { $0["parked"] == nil })
        await test.server.stop()
    }
}
