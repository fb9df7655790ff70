import CPO
import Charging
import Glibc
import JSON
import SQL
import Service
import TestSupport
import Testing
import Web

@testable import Console

@Suite(.timeLimit(.minutes(2))) struct `An import` {
    static let places = """
        location_id,name,address,city,country,latitude,longitude,time_zone,evse_uid,station,\
        station_connector,connector_id,standard,format,power_type,max_voltage,max_amperage
        L1,Depot,Ring 1,Delhi,IND,28.6139,77.2090,Asia/Kolkata,E1,CS-1,1,1,IEC_62196_T2,SOCKET,AC_3_PHASE,400,32
        L1,,,,,,,,E2,CS-1,2,1,IEC_62196_T2,SOCKET,AC_3_PHASE,400,32
        L1,,,,,,,,E2,,,2,CHADEMO,CABLE,DC,500,125

        """

    private func send(
        _ test: TestConsole, _ kind: String, _ text: String, dry: Bool = false, key: String? = nil
    ) async throws -> TestConsole.Answer {
        try await test.call(
            "POST", "/api/v1/import/\(kind)?dryRun=\(dry)", key: key ?? test.admin,
            bytes: Array(text.utf8), headers: ["Content-Type": "text/csv"])
    }

    private func counts(_ answer: TestConsole.Answer) -> [Int?] {
        ["created", "changed", "unchanged"].map { answer[$0]?.int }
    }

    @Test func `takes stations, says what became of each, and is noted`() async throws {
        let test = try await TestConsole()
        let text = "id,registration\ncs-1,\nCS-2,Rejected\nNEW/1,\n"
        #expect(try await send(test, "stations", text).status == 422)
        let good = "id,registration\ncs-1,\nCS-2,Rejected\nNEW1,\n"
        let answer = try await send(test, "stations", good)
        #expect(counts(answer) == [1, 1, 1])
        #expect(try await test.house.stations.station("NEW1")?.registration == .accepted)
        #expect(try await test.house.stations.station("CS-2")?.registration == .rejected)
        let audit = try await test.get("/audit")
        #expect(audit["items"]?.array?.first?["action"]?.string == "import.stations")
        await test.server.stop()
    }

    @Test func `changes nothing when it is dry`() async throws {
        let test = try await TestConsole()
        let answer = try await send(test, "locations", Self.places, dry: true)
        #expect(counts(answer) == [1, 0, 0])
        #expect(answer["dryRun"]?.bool == true)
        #expect(test.house.locations.all().isEmpty)
        #expect(try await test.get("/audit")["items"]?.array?.isEmpty == true)
        await test.server.stop()
    }

    @Test func `takes all rows or none, and names every mistake with its line`() async throws {
        let test = try await TestConsole()
        let answer = try await send(
            test, "stations", "id,registration\nS1,\nS2,maybe\n,\nS1,x\ns1,\n")
        #expect(answer.status == 422)
        let problems = answer["problems"]?.array ?? []
        #expect(problems.compactMap { $0["line"]?.int } == [3, 5, 5, 6])
        #expect(
            problems.compactMap { $0["field"]?.string }
                == ["registration", "id", "registration", "id"])
        #expect(try await test.house.stations.station("S1") == nil)
        await test.server.stop()
    }

    @Test func `builds places from a line for every connector, and adds to them`() async throws {
        let test = try await TestConsole()
        #expect(counts(try await send(test, "locations", Self.places)) == [1, 0, 0])
        #expect(counts(try await send(test, "locations", Self.places)) == [0, 0, 1])
        let location = try #require(test.house.locations.location("L1"))
        #expect(location.evses.map(\.uid) == ["E1", "E2"])
        #expect(location.evses[1].connectors.map(\.standard) == ["IEC_62196_T2", "CHADEMO"])
        #expect(location.evses[1].stationConnector == 2)
        // Another table with one more EVSE takes none of the others away.
        let head = Self.places.split(separator: "\n")
        let more = "\(head[0])\n" + head[1].replacing("E1,CS-1,1", with: "E3,CS-2,1") + "\n"
        #expect(counts(try await send(test, "locations", more)) == [0, 1, 0])
        #expect(test.house.locations.location("L1")?.evses.map(\.uid) == ["E3", "E1", "E2"])
        #expect(
            test.house.locations.location("L1")?.evses.map(\.status).contains(.removed) == false)
        // A uid is of one place for ever.
        let stolen = more.replacing("L1,Depot", with: "L2,Depot")
        let refused = try await send(test, "locations", stolen)
        #expect(refused.status == 422)
        #expect(refused["problems"]?.array?.first?["field"]?.string == "evse_uid")
        #expect(test.house.locations.location("L2") == nil)
        await test.server.stop()
    }

    @Test func `takes tokens once, and the same again changes nothing`() async throws {
        let test = try await TestConsole()
        let text = "uid;contract_id;valid\n04AABB;IN-KRB-C1;\n04CCDD;IN-KRB-C2;no\n"
        #expect(counts(try await send(test, "tokens", text)) == [2, 0, 0])
        test.clock.advance(milliseconds: 60_000)
        #expect(counts(try await send(test, "tokens", text)) == [0, 0, 2])
        let changed = text.replacing(";no", with: ";yes")
        #expect(counts(try await send(test, "tokens", changed)) == [0, 1, 1])
        let bad = try await send(test, "tokens", "uid,type\nX,PAPER\n")
        #expect(bad["problems"]?.array?.first?["field"]?.string == "type")
        await test.server.stop()
    }

    private func token(_ test: TestConsole, _ uid: String) async throws -> Token? {
        let party = test.house.settings.party
        return try await test.house.read { [house = test.house] in
            try house.tokens.find(uid: uid, party: party, kind: .rfid, in: $0)
        }
    }

    private func fields(_ answer: TestConsole.Answer, _ item: Int = 0) -> [String] {
        answer["items"]?[item]?["fields"]?.array?.compactMap(\.string) ?? []
    }

    @Test func `keeps of a token what no column speaks of`() async throws {
        let test = try await TestConsole()
        let blocked = """
            uid,contract_id,valid,expires,max_charges
            04AABB,C1,no,2099-01-01T00:00:00Z,2

            """
        #expect(counts(try await send(test, "tokens", blocked)) == [1, 0, 0])
        let before = try #require(try await token(test, "04AABB"))
        test.clock.advance(milliseconds: 60_000)
        #expect(counts(try await send(test, "tokens", "uid\n04aabb\n")) == [0, 0, 1])
        #expect(counts(try await send(test, "tokens", "uid,valid\n04AABB,\n")) == [0, 0, 1])
        let text = "uid,contract_id,max_charges\n04AABB,C2,\n"
        let dry = try await send(test, "tokens", text, dry: true)
        #expect(counts(dry) == [0, 1, 0])
        #expect(fields(dry) == ["contract_id", "max_charges"])
        #expect(try await token(test, "04AABB") == before)
        #expect(fields(try await send(test, "tokens", text)) == fields(dry))
        var wanted = before
        (wanted.contractID, wanted.mostCharges) = ("C2", nil)
        wanted.lastUpdated = test.clock.now
        #expect(try await token(test, "04AABB") == wanted)
        await test.server.stop()
    }

    @Test func `takes a token without a type for the one that is there`() async throws {
        let test = try await TestConsole()
        let app = "uid,type,valid\nD1,APP_USER,no\n"
        #expect(counts(try await send(test, "tokens", app)) == [1, 0, 0])
        let moved = try await send(test, "tokens", "uid,contract_id\nD1,C9\n")
        #expect(counts(moved) == [0, 1, 0])
        #expect(try await token(test, "D1") == nil)
        #expect(counts(try await send(test, "tokens", "uid,type\nD1,RFID\n")) == [1, 0, 0])
        let unclear = try await send(test, "tokens", "uid,contract_id\nD1,C8\n", dry: true)
        #expect(unclear.status == 422)
        #expect(unclear["problems"]?[0]?["field"]?.string == "type")
        await test.server.stop()
    }

    @Test func `keeps of stations and places what no column speaks of`() async throws {
        let test = try await TestConsole()
        #expect(
            counts(try await send(test, "stations", "id,registration\nCS-2,Rejected\n"))[1] == 1)
        #expect(counts(try await send(test, "stations", "id\nCS-2\n")) == [0, 0, 1])
        #expect(try await test.house.stations.station("CS-2")?.registration == .rejected)
        let back = try await send(test, "stations", "id,registration\nCS-2,Accepted\n", dry: true)
        #expect(fields(back) == ["registration"])
        let head = Self.places.split(separator: "\n")
        let first = "\(head[0]),publish,tariff_ids,evse_id\n\(head[1]),no,T1,IN*KRB*E1\n"
        #expect(counts(try await send(test, "locations", first)) == [1, 0, 0])
        // Without these columns, and without the station's.
        let columns = "\(head[0])\n\(head[1])\n".replacing(",station,station_connector", with: "")
            .replacing(",CS-1,1,", with: ",").replacing("Ring 1", with: "Ring 2")
        let answer = try await send(test, "locations", columns, dry: true)
        #expect(fields(answer) == ["address"])
        #expect(counts(try await send(test, "locations", columns)) == [0, 1, 0])
        let location = try #require(test.house.locations.location("L1"))
        #expect(!location.publish)
        let evse = location.evses[0]
        #expect(evse.station == "CS-1" && evse.evseID == "IN*KRB*E1")
        #expect(evse.connectors[0].tariffIDs == ["T1"])
        await test.server.stop()
    }

    @Test func `finds an EVSE that stands in two places of one table`() async throws {
        let test = try await TestConsole()
        let head = Self.places.split(separator: "\n")
        let twice = "\(head[0])\n\(head[1])\n" + head[1].replacing("L1,", with: "L2,") + "\n"
        for dry in [true, false] {
            let answer = try await send(test, "locations", twice, dry: dry)
            #expect(answer.status == 422)
            #expect(answer["problems"]?[0]?["field"]?.string == "evse_uid")
        }
        #expect(test.house.locations.all().isEmpty)
        await test.server.stop()
    }

    @Test func `holds up no writer while it is dry`() async throws {
        let folder = TemporaryFolder()
        // In memory readers would have no connection of their own.
        let test = try await TestConsole(path: folder.file("kerb.sqlite"))
        let (isBusy, isOver) = (Lock(false), Lock(false))
        let writer = Task {
            // Ends by itself where the dry run waits for the writer.
            let clock = ContinuousClock()
            let latest = clock.now + .seconds(10)
            return try await test.house.database.write { _ in
                isBusy.withLock { $0 = true }
                while !isOver.withLock({ $0 }), clock.now < latest { sched_yield() }
                return clock.now < latest
            }
        }
        while !isBusy.withLock({ $0 }), !Task.isCancelled { await Task.yield() }
        for (kind, text) in [("stations", "id\nS1\n"), ("tokens", "uid\nU1\n")] {
            #expect(counts(try await send(test, kind, text, dry: true)) == [1, 0, 0])
        }
        isOver.withLock { $0 = true }
        #expect(try await writer.value)
        await test.server.stop()
    }

    @Test(arguments: [
        ("stations", "name\nX\n", "id"), ("stations", "id,colour\nX,red\n", "colour"),
        ("locations", "location_id,connector_id\n", "evse_uid"),
    ])
    func `says which column is missing or read by nobody`(
        _ kind: String, _ text: String, _ field: String
    ) async throws {
        let test = try await TestConsole()
        let answer = try await send(test, kind, text)
        #expect(answer.status == 422)
        #expect(
            answer["problems"]?.array?.contains { $0["field"]?.string == field } == true)
        await test.server.stop()
    }

    @Test func `is for an admin`() async throws {
        let test = try await TestConsole()
        let answer = try await send(test, "stations", "id\nX\n", key: test.operator)
        #expect(answer.status == 403)
        // A dry run tells what is there, of whichever place and owner: it is no less.
        for kind in ["stations", "locations", "tokens"] {
            for key in [test.viewer, test.operator] {
                let dry = try await test.call(
                    "POST", "/api/v1/import/\(kind)?dryRun=true", key: key, bytes: [],
                    headers: ["Content-Type": "text/csv"])
                #expect(dry.status == 403)
            }
        }
        await test.server.stop()
    }
}
