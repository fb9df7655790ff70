import Charging
import HAL
import LinuxHAL
import Service
import Simulation
import TestSupport
import Testing

@Suite(.serialized) struct `A meter that signs` {
    let device = SigningMeter()
    let slave: TCPSlave
    let bus: ModbusBus
    let signer: any MeterSigner
    let charge = SignedCharge(outlet: "DE*KRB*E1", token: "04281FD2FB7381", charge: 17)

    init() throws {
        slave = try TCPSlave(port: 0, units: SlaveUnits([33: device]))
        bus = ModbusBus(name: "lan", address: .tcp(host: "127.0.0.1", port: slave.port))
        var profile = try ProfileLibrary(folder: Cases.packageRoot + "/hal/profiles")
            .meter("iskra-wm3m4")
        profile.gapMilliseconds = 0
        profile.timeoutMilliseconds = 2000
        let meter = ModbusMeter(
            name: "M1", profile: profile, bus: bus, unit: 33, maximumWatts: 23_000)
        signer = try #require(meter.signer)
    }

    private func stop() {
        bus.close()
        slave.stop()
    }

    @Test func `is told clock and charge, and hands its record on byte for byte`() async throws {
        defer { stop() }
        #expect(try await signer.begin(charge) == nil)
        #expect(device.metadata.contains("\"ID\":\"17 04281FD2FB7381\""))
        #expect(device.metadata.contains("\"CI\":\"DE*KRB*E1\""))
        let written = device.now { $0.writes.map(\.address) }
        #expect(written.prefix(5) == [7054, 7055, 7053, 7071, 7059])
        #expect(written.last == 7051)
        let seconds = device.now {
            Int64($0.registers[7054] ?? 0) << 16 | Int64($0.registers[7055] ?? 0)
        }
        #expect(abs(seconds - SystemClock().now.milliseconds / 1000) < 60)
        let record = try await signer.end(charge)
        #expect(record.format == "OCMF")
        #expect(
            record.text
                == "OCMF|{\"FV\":\"1.0\",\"RD\":[{\"RV\":1.234}]}|{\"SD\":\"30030000A7\"}")
    }

    @Test func `gets clock and charge again after its supply was gone`() async throws {
        defer { stop() }
        try await signer.begin(charge)
        device.loseSupply()
        #expect(try await signer.end(charge).text.hasPrefix("OCMF|"))
        #expect(device.metadata.contains("04281FD2FB7381"))
    }

    @Test func `hands out the record of a charge that was left open`() async throws {
        defer { stop() }
        try await signer.begin(charge)
        let left = try await signer.begin(
            SignedCharge(outlet: "1", token: "other", charge: 18))
        #expect(left?.text.hasPrefix("OCMF|") == true)
        #expect(device.metadata.contains("18 other"))
        await #expect(throws: Never.self) { try await signer.end(charge) }
    }

    @Test func `has begun once it took the command, although nobody heard what came of it`()
        async throws
    {
        defer { stop() }
        device.now { $0.isMuteWhileActive = true }
        #expect(try await signer.begin(charge) == nil)
        device.now { $0.isMuteWhileActive = false }
        #expect(try await signer.end(charge).text.hasPrefix("OCMF|"))
        // What it says of itself counts.
        device.now { $0.failsWith = 254 }
        await #expect(throws: MeterError.notSigned("signature status 254")) {
            try await signer.begin(charge)
        }
    }

    @Test func `that has no transaction open has no record`() async throws {
        defer { stop() }
        await #expect(throws: MeterError.notSigned("no transaction is open")) {
            try await signer.end(charge)
        }
    }

    @Test func `that cannot sign says so at once`() async throws {
        defer { stop() }
        try await signer.begin(charge)
        device.now { $0.failsWith = 254 }
        await #expect(throws: MeterError.notSigned("signature status 254")) {
            try await signer.end(charge)
        }
    }

    @Test func `takes a token for text, whatever it holds`() async throws {
        defer { stop() }
        try await signer.begin(
            SignedCharge(outlet: "1", token: "a\"}|\\\u{0}ü{outlet}", charge: 1))
        #expect(device.metadata.contains("\"ID\":\"1 a\\\"} \\\\   {outlet}\""))
    }
}
