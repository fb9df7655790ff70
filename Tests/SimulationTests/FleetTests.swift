import Charging
import JSON
import Testing

@testable import Simulation

@Suite struct `A station of the fleet` {
    private let noon = Timestamp(seconds: 1_800_000_000)
    private let accepted: JSONValue = [
        "status": "Accepted", "idTagInfo": ["status": "Accepted"], "transactionId": 77,
    ]

    @Test func `boots, charges and reports as it should`() {
        var station = FleetStation(id: "SIM-00001", token: "T", register: 5000)
        var actions: [String] = []
        while station.sessions == 0 {
            actions.append(station.call(at: noon).action)
            let goesOn = station.take(accepted)
            #expect(goesOn)
        }
        #expect(
            actions == [
                "BootNotification", "StatusNotification", "Heartbeat", "Authorize",
                "StartTransaction", "MeterValues", "MeterValues", "MeterValues", "MeterValues",
                "StopTransaction",
            ])
    }

    @Test func `repeats a call that was not answered, to the last byte`() {
        var station = FleetStation(id: "SIM-00001", token: "T", register: 5000)
        while station.step != .start {
            _ = station.call(at: noon)
            _ = station.take(accepted)
        }
        let first = station.call(at: noon)
        station.reconnected()
        #expect(station.call(at: noon.advanced(bySeconds: 60)) == first)
        _ = station.take(accepted)
        #expect(station.call(at: noon).payload["transactionId"] == 77)
    }

    @Test func `waits while it is not accepted, and stops a start that was refused`() {
        var station = FleetStation(id: "SIM-00001", token: "T", register: 5000)
        _ = station.call(at: noon)
        let goesOn = station.take(["status": "Pending"])
        #expect(!goesOn)
        while station.step != .start {
            _ = station.call(at: noon)
            _ = station.take(accepted)
        }
        _ = station.call(at: noon)
        _ = station.take(["idTagInfo": ["status": "Invalid"], "transactionId": 9])
        let stop = station.call(at: noon)
        #expect(stop.action == "StopTransaction")
        #expect(stop.payload["meterStop"] == 5000)
    }
}

@Suite struct `A latency histogram` {
    @Test func `gives the quantile within a fifth`() {
        var latency = LatencyHistogram()
        #expect(latency.quantile(percent: 99) == 0)
        for microseconds in 1...1000 { latency.add(microseconds: Int64(microseconds)) }
        #expect((500...600).contains(latency.quantile(percent: 50)))
        #expect((990...1200).contains(latency.quantile(percent: 99)))
        latency.add(microseconds: .max)
        #expect(latency.total == 1001)
    }
}
