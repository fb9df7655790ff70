import CPO
import Charging
import SQL
import StoreSupport
import TestSupport
import Testing

@testable import CSMS

@Suite struct `Personal data at the stations' door` {
    @Test func `is listed, column by column`() async throws {
        #expect(
            try await PersonalDataInventory.differences(
                CentralSystem.migrations, section: "CSMS") == [])
    }

    private func line(_ request: String, answer: String = "{}", at: Timestamp = Rig.noon)
        -> MessageLog.Line
    {
        MessageLog.Line(
            station: "CS-1", at: at, isInbound: true, action: "Authorize", messageID: "1",
            request: Array(request.utf8), answer: Array(answer.utf8))
    }

    @Test func `goes with the exchanges that name a driver, those not written yet as well`()
        async throws
    {
        let rig = try await Rig()
        rig.house.privacy.register(StationPersonalRows())
        let log = rig.center.log
        log.add(line(#"[2,"1","Authorize",{"idTag":"driver-1"}]"#))
        log.add(line(#"[2,"2","Authorize",{"idTag":"DRIVER\u002d1"}]"#))
        log.add(line(#"[2,"3","Authorize",{"idTag":"DRIVER-10"}]"#))
        await log.flush()
        // Cut off by the log's limit, so no JSON.
        log.add(line(#"[2,"4","SendLocalList",{"x":["DRIVER-1"#))
        log.add(line("[]", answer: #"[3,"5",{"parentIdTag":"DRIVER-1"}]"#))
        let outcome = try await rig.house.privacy.erase(.init(token: "DRIVER-1"), by: "test") {
            _ in
        }
        #expect(outcome.findings.first { $0.kind == "messages" }?.rows == 4)
        let left = try await rig.house.database.everyText()
        #expect(left.contains("DRIVER-10"))
        #expect(!left.contains("DRIVER-1\"") && !left.contains("driver-1"))
        await rig.end()
    }

    @Test func `leaves the lists of stations, which are sent whole then`() async throws {
        let rig = try await Rig()
        rig.house.privacy.register(StationPersonalRows())
        let content = LocalListContent(entries: [
            .init(token: "DRIVER-1", info: AuthorizationInfo(.accepted)),
            .init(token: "OTHER-2", info: AuthorizationInfo(.accepted)),
        ])
        let others = LocalListContent(entries: [
            .init(token: "OTHER-2", info: AuthorizationInfo(.accepted))
        ])
        try await rig.house.write { transaction in
            for (station, held) in [("CS-1", content), ("CS-2", others)] {
                var record = LocalListRecord(station: station)
                record.state = .sent
                record.content = held.digest
                try record.store(in: transaction)
                try LocalListRecord.keep(held, in: transaction)
            }
        }
        _ = try await rig.house.privacy.erase(.init(token: "DRIVER-1"), by: "test") { _ in }
        let (records, left) = try await rig.house.read { transaction in
            (
                try LocalListRecord.all(in: transaction),
                try transaction.query("SELECT digest FROM csms_list_content").map {
                    try $0.text("digest")
                }
            )
        }
        #expect(records.first { $0.station == "CS-1" }?.content == nil)
        #expect(records.first { $0.station == "CS-2" }?.content == others.digest)
        #expect(left == [others.digest])
        await rig.end()
    }

    @Test func `of refused connections goes with the message log's days`() async throws {
        let rig = try await Rig {
            $0.lowestSecurityProfile = 0
            $0.messageDays = 30
        }
        rig.center.log.refused("CS-9", .unknownStation, from: "192.0.2.7", at: Rig.noon)
        await rig.center.log.flush()
        #expect(try await rig.house.database.everyText().contains("192.0.2.7"))
        rig.clock.advance(milliseconds: 31 * 86_400_000)
        rig.center.log.refused("CS-9", .unknownStation, from: "192.0.2.8", at: rig.clock.now)
        await rig.center.log.flush()
        let left = try await rig.house.database.everyText()
        #expect(!left.contains("192.0.2.7") && left.contains("192.0.2.8"))
        await rig.end()
    }
}
