import Charging
import OCPP
import OCPP16
import Service
import TestSupport
import Testing

@testable import Station

@Suite struct `Clock-aligned moments` {
    private func time(_ text: String) -> Timestamp { Timestamp(rfc3339: text)! }

    @Test(arguments: [
        ("2026-11-27T10:07:31.250Z", 900, "2026-11-27T10:00:00Z"),
        ("2026-11-27T10:15:00Z", 900, "2026-11-27T10:15:00Z"),
        ("2026-11-27T23:59:59.999Z", 3600, "2026-11-27T23:00:00Z"),
        // 7 hours do not divide the day: the last interval is short, midnight begins a new one.
        ("2026-11-27T20:59:00Z", 25_200, "2026-11-27T14:00:00Z"),
        ("2026-11-27T23:00:00Z", 25_200, "2026-11-27T21:00:00Z"),
        ("2026-11-28T00:00:01Z", 25_200, "2026-11-28T00:00:00Z"),
        ("1969-12-31T23:59:59Z", 86_400, "1969-12-31T00:00:00Z"),
    ])
    func `are counted from midnight`(_ now: String, _ interval: Int, _ moment: String) {
        #expect(AlignedTime.before(time(now), everySeconds: interval) == time(moment))
    }
}

@Suite(.timeLimit(.minutes(2))) struct `A station's settings` {
    let folder = TemporaryFolder()

    private func station(_ settings: [String: String]) async throws -> TestStation {
        try await TestStation.make(path: folder.file("board.db"), settings: settings)
    }

    @Test func `bound how many keys are asked at once`() async throws {
        let station = try await station([:])
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            let many = (1...101).map { "Key\($0)" }
            #expect(try await peer.ask(.getSettings(keys: many)) == nil)
            let some = Array(many.prefix(100))
            #expect(
                try await peer.ask(.getSettings(keys: some)) == .settings([], unknown: some))
        }
    }

    @Test func `make it read its meters by the clock, with and without a charge`() async throws {
        let station = try await station([
            "ClockAlignedDataInterval": "1", "MeterValueSampleInterval": "0",
            "MeterValuesAlignedData": "Energy.Active.Import.Register,Current.Import.L1",
        ])
        let peer = TestOperator()
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears { $0.reports.contains { $0.transaction == nil } }
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            await peer.hears { $0.reports.count { $0.transaction == .number(5_000) } >= 2 }
        }
        let readings = peer.heard.reports.flatMap(\.readings)
        #expect(readings.allSatisfy { $0.samples.allSatisfy { $0.context == .sampleClock } })
        #expect(readings.allSatisfy { $0.samples.count == 2 && $0.samples[1].phase == "L1" })
    }

    @Test func `put what was sampled into the stop`() async throws {
        let station = try await station([
            "MeterValueSampleInterval": "1", "ClockAlignedDataInterval": "1",
            "MeterValuesSampledData": "", "MeterValuesAlignedData": "",
            "StopTxnSampledData": "Energy.Active.Import.Register,Power.Active.Import",
            "StopTxnAlignedData": "Power.Active.Import",
        ])
        let peer = TestOperator()
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            try await until {
                guard let charge = await station.controller.charge()?.id else { return false }
                return try await station.journal.stopData(of: charge)?.samples.count ?? 0 >= 3
            }
            _ = try await peer.ask(.stop(.number(5_000)))
            await peer.hears { !$0.stops.isEmpty }
            await until { await station.agent.view().journalDepth == 0 }
        }
        #expect(peer.heard.reports.isEmpty)
        let stop = try #require(peer.heard.stops.first)
        let contexts = stop.readings.compactMap { $0.samples.first?.context }
        #expect(contexts.first == .transactionBegin && contexts.last == .transactionEnd)
        #expect(contexts.contains(.samplePeriodic) && contexts.contains(.sampleClock))
        #expect(
            stop.readings.last?.samples.first?.value == Decimal(stop.meterStop.value))
        for reading in stop.readings where reading.samples.first?.context == .sampleClock {
            #expect(reading.samples.map(\.quantity) == [.known(.powerImport)])
        }
    }

    @Test func `send no more in a stop than it can carry, over the whole charge`() async throws {
        let journal = try await BoardJournal(path: folder.file("board.db"), bootID: "boot-1")
        journal.stopDataRules.withLock { $0.keepsSampled = true }
        let noon = Timestamp(seconds: 1_795_262_400)
        let charge = try await journal.start(
            connector: 1, token: "T", isRemote: false, register: WattHours(1), at: noon)
        for minute in 0..<500 {
            try await journal.sample(
                StoredSample(
                    MeterSnapshot(
                        register: WattHours(Int64(minute)), askedAt: 0,
                        at: noon.advanced(bySeconds: Int64(minute) * 60)), .samplePeriodic),
                of: charge)
        }
        let samples = try #require(try await journal.stopData(of: charge)).samples
        #expect(samples.count <= JournalLimits().stopSamples)
        #expect(samples.count >= JournalLimits().stopSamples / 2)
        #expect(samples.first?.snapshot.register == WattHours(0))
        #expect((samples.last?.snapshot.register ?? .zero) > WattHours(450))
        await journal.close()
    }

    @Test func `say that one counts after a restart only, and keep it until then`() async throws {
        let catalogue = SettingsCatalogue([
            .init("AtStartOnly", nil, .integer(0...9), standard: "1", needsReboot: true),
            .init("AtOnce", nil, .integer(0...9), standard: "1"),
        ])
        let station = try await TestStation.make(
            path: folder.file("board.db"), catalogue: catalogue)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            for (key, status) in [("atstartonly", "RebootRequired"), ("AtOnce", "Accepted")] {
                let answer = try await peer.ask(.changeSetting(key: key, value: "5"))
                #expect(answer == .status(status), "\(key)")
            }
            #expect(
                try await station.journal.settings() == ["AtStartOnly": "5", "AtOnce": "5"])
        }
    }

    @Test func `try a reset again that did not end the program`() async throws {
        let station = try await station(["ResetRetries": "2"])
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(try await peer.ask(.reset(.soft)) == .status("Accepted"))
            await until { station.resets.withLock { $0 } == 3 }
        }
        #expect(station.resets.withLock { $0 } == 3)
    }

    @Test func `tell vendors and messages apart`() async throws {
        let station = try await station([:])
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            for (vendor, message, status) in [
                ("Other", "Status", "UnknownVendorId"), ("kerb", "Nonsense", "UnknownMessageId"),
                ("kerb", nil, "UnknownMessageId"), ("kerb", "Status", "Accepted"),
            ] as [(String, String?, String)] {
                let answer = try await peer.ask(
                    .data(DataMessage(vendor: vendor, message: message, data: "x")))
                guard case .data(let found, _) = answer else {
                    Issue.record("no answer")
                    continue
                }
                #expect(found == status, "\(vendor) \(message ?? "")")
            }
        }
    }

    @Test func `decide nothing about triggers, obeyed as far as the board has what they ask for`()
        async throws
    {
        let station = try await station([:])
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            // This one has nothing that looks after firmware and logs.
            for action in ["DiagnosticsStatusNotification", "FirmwareStatusNotification"] {
                #expect(
                    try await peer.ask(.trigger(message: action, connector: 9))
                        == .status("NotImplemented"))
            }
            #expect(
                try await peer.ask(.trigger(message: "MeterValues", connector: 1))
                    == .status("Accepted"))
            await peer.hears { !$0.reports.isEmpty }
            for message in ["MeterValues", "StatusNotification"] {
                #expect(
                    try await peer.ask(.trigger(message: message, connector: 9))
                        == .status("Rejected"))
            }
            #expect(
                try await peer.ask(.trigger(message: "BootNotification", connector: nil))
                    == .status("Rejected"))
        }
    }
}
