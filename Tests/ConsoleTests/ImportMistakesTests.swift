import CPO
import Charging
import JSON
import TestSupport
import Testing
import Web

@testable import Console

@Suite(.timeLimit(.minutes(2))) struct `The mistakes of a table` {
    @Test func `are all named, each with its line`() async throws {
        let test = try await TestConsole()
        func mistakes(_ kind: String, _ text: String) async throws -> [String] {
            let answer = try await test.call(
                "POST", "/api/v1/import/\(kind)?dryRun=true", key: test.admin,
                bytes: Array(text.utf8), headers: ["Content-Type": "text/csv"])
            #expect(answer.status == 422)
            return (answer["problems"]?.array ?? []).map {
                "\($0["line"]?.int ?? 0) \($0["field"]?.string ?? "")"
            }
        }
        #expect(
            try await mistakes("stations", "id,registration\nA/B,maybe\n")
                == ["2 id", "2 registration"])
        #expect(
            try await mistakes(
                "tokens",
                "uid,type,valid,expires,max_charges\n,PAPER,perhaps,soon,many\nU2,RFID,,,\n")
                == ["2 uid", "2 valid", "2 expires", "2 max_charges", "2 type"])
        // In each line its own, and those of the place in the line they stand in.
        let wrong = `An import`.places.replacing("IND", with: "IN").replacing(
            "Asia/Kolkata", with: "Nowhere"
        )
        .replacing(
            "E1,CS-1,1,1,IEC_62196_T2,SOCKET,AC_3_PHASE,400,32", with: "E1,CS-1,x,1,,PLUG,AC,400,32"
        )
        .replacing("CABLE,DC,500,125", with: "CABLE,DC,-5,much")
        #expect(
            try await mistakes("locations", wrong).sorted()
                == [
                    "2 country", "2 format", "2 power_type", "2 standard", "2 station_connector",
                    "2 time_zone", "4 max_amperage", "4 max_voltage",
                ])
        #expect(
            try await mistakes(
                "locations",
                "location_id,evse_uid,connector_id,format,max_voltage\n,,1,PLUG,many\n"
            ).sorted()
                == [
                    "2 evse_uid", "2 format", "2 location_id", "2 max_amperage", "2 max_voltage",
                    "2 power_type", "2 standard",
                ])
        // What only the store can tell is told of every place, too.
        let half = `An import`.places.replacing("CS-1,1,", with: "CS-1,,").replacing(
            "CS-1,2,", with: ",2,")
        let lines = half.split(separator: "\n")
        let two =
            "\(lines[0])\n\(lines[1])\n"
            + lines[1].replacing("L1,", with: "L2,").replacing("E1", with: "E9") + "\n"
        #expect(
            try await mistakes("locations", two) == ["2 station_connector", "3 station_connector"])
        await test.server.stop()
    }
}
