import CPO
import Charging
import JSON
import TestSupport
import Testing
import Web

@testable import Console

@Suite(.timeLimit(.minutes(2))) struct `The list of what partners did not take` {
    /// Two lines of a partner's reader, which is there.
    private func parked(_ test: TestConsole) async throws {
        let (house, now) = (test.house, test.clock.now)
        house.deliveries.name { $0 == "ocpi/P/bill" ? "Volta" : nil }
        try await house.write { transaction in
            for number in 1...2 {
                try house.journal.append(
                    .cdrCreated, "C-\(number)", at: now, in: transaction)
            }
        }
        let lines = try await house.journal.lines(after: 0).filter { $0.kind == .cdrCreated }
        try await house.write { transaction in
            for line in lines {
                try house.journal.park(
                    "ocpi/P/bill", line.seq, reason: "HTTP 400", at: now, in: transaction)
            }
            try house.journal.move(
                "ocpi/P/bill", to: lines.last?.seq ?? 0, at: now, in: transaction)
        }
    }

    private func items(_ test: TestConsole) async throws -> [JSONValue] {
        try await test.call("GET", "/api/v1/deliveries", key: test.viewer)["items"]?.array ?? []
    }

    @Test func `lets an operator try one again and dismiss one, with a line in the audit`()
        async throws
    {
        let test = try await TestConsole()
        #expect(try await items(test).isEmpty)
        try await parked(test)
        let found = try await items(test)
        #expect(found.map { $0["partner"]?.string } == ["Volta", "Volta"])
        #expect(found.map { $0["subject"]?.string } == ["C-2", "C-1"])
        #expect(found[0]["reason"]?.string == "HTTP 400")
        let ids = found.compactMap { $0["id"]?.string }
        try #require(ids.count == 2)
        let retry = "/deliveries/\(ids[0])/retry"
        #expect(try await test.post(retry, [:], key: test.viewer).status == 403)
        #expect(try await test.post(retry, [:], key: test.operator).status == 204)
        #expect(try await items(test).first?["isAsked"] == true)
        let dismissal = "/deliveries/\(ids[1])/dismissal"
        #expect(try await test.post(dismissal, ["reason": "paid"], key: test.viewer).status == 403)
        #expect(
            try await test.post(dismissal, [:], key: test.operator)["field"]?.string == "reason")
        #expect(
            try await test.post(dismissal, ["reason": "paid"], key: test.operator).status == 204)
        #expect(
            try await test.post(dismissal, ["reason": "paid"], key: test.operator).status == 404)
        #expect(try await items(test).compactMap { $0["id"]?.string } == [ids[0]])
        let audit = try await test.get("/audit")["items"]?.array ?? []
        #expect(
            audit.prefix(2).map { $0["action"]?.string } == ["delivery.dismiss", "delivery.retry"])
        #expect(audit.first?["detail"]?["reason"]?.string == "paid")
        #expect(audit.count == 2)
    }

    @Test func `says that a partner is gone`() async throws {
        let test = try await TestConsole()
        try await parked(test)
        let now = test.clock.now
        try await test.house.write { [house = test.house] in
            try house.journal.retire(
                "ocpi/P/bill", billsOf: [], until: now, reason: "gone", at: now, in: $0)
        }
        let id = try #require(try await items(test).first?["id"]?.string)
        let answer = try await test.post("/deliveries/\(id)/retry", [:], key: test.operator)
        #expect(answer.status == 409)
        #expect(answer["title"]?.string == "the partner is gone")
    }
}
