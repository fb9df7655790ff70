import Charging
import Glibc
import JSON
import OCPP
import Testing

@testable import OCPP16

@Suite struct `The 1.6 dialect` {
    private let dialect = OCPP16Dialect()

    @Test(arguments: Samples.events)
    func `reads at the operator what it wrote at the station`(_ event: StationEvent) throws {
        let request = try dialect.request(for: event)
        try expectCanonical(request.payload)
        #expect(try dialect.event(request) == Decoded(event))
    }

    @Test(arguments: Samples.replies)
    func `reads at the station what it wrote at the operator`(
        _ event: StationEvent, _ reply: StationReply
    ) throws {
        let payload = dialect.payload(of: reply, to: event)
        try expectCanonical(payload)
        #expect(try dialect.reply(in: payload.span.bytes, to: event) == Decoded(reply))
    }

    @Test(arguments: Samples.commands)
    func `reads at the station what the operator asked`(_ command: StationCommand) throws {
        let request = try dialect.request(for: command)
        try expectCanonical(request.payload)
        #expect(try dialect.command(request) == Decoded(command))
    }

    @Test(arguments: Samples.answers)
    func `reads at the operator what the station answered`(
        _ command: StationCommand, _ answer: CommandAnswer
    ) throws {
        let payload = dialect.payload(of: answer, to: command)
        try expectCanonical(payload)
        #expect(try dialect.answer(in: payload.span.bytes, to: command) == Decoded(answer))
    }

    /// Keys sorted, nothing absent spelled out: the tree's own spelling is the same bytes.
    private func expectCanonical(_ payload: [UInt8]) throws {
        let tree = try JSONValue(parsing: payload)
        #expect(tree.text == String(decoding: payload, as: UTF8.self))
    }

    /// Tests/peers/test_ocpp16_schemas.py checks the file against the official schemas.
    @Test func `writes down every frame it can emit`() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(root)/.build/ocpp16-frames.tsv"
        var lines: [UInt8] = []
        func add(_ schema: String, _ payload: [UInt8]) {
            lines += Array("\(schema)\t".utf8) + payload + [0x0A]
        }
        for event in Samples.events {
            let request = try dialect.request(for: event)
            add(request.action, request.payload)
        }
        for (event, reply) in Samples.replies {
            let action = try dialect.request(for: event).action
            add(action + "Response", dialect.payload(of: reply, to: event))
        }
        for command in Samples.commands {
            let request = try dialect.request(for: command)
            add(request.action, request.payload)
        }
        for (command, answer) in Samples.answers {
            let action = try dialect.request(for: command).action
            add(action + "Response", dialect.payload(of: answer, to: command))
        }
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        #expect(fwrite(lines, 1, lines.count, file) == lines.count)
    }
}

@Suite struct `Strict writing in 1.6` {
    private let dialect = OCPP16Dialect()

    @Test func `cuts what informs and refuses what identifies`() throws {
        let long = String(repeating: "x", count: 60)
        let boot = try dialect.request(
            for: .booted(StationIdentity(vendor: long, model: long, firmware: long)))
        let tree = try JSONValue(parsing: boot.payload)
        #expect(tree["chargePointVendor"]?.string?.count == 20)
        #expect(tree["firmwareVersion"]?.string?.count == 50)
        #expect(throws: DialectError.unfit(field: "idTag")) {
            try dialect.request(for: .authorizing(token: long))
        }
    }

    @Test func `never sends a stop without the operator's number`() {
        let stop = SessionStop(
            transaction: .local("tx-1"), meterStop: WattHours(1), at: Samples.noon, reason: .local)
        #expect(throws: DialectError.missing(field: "transactionId")) {
            try dialect.request(for: .sessionStopped(stop))
        }
    }

    @Test func `never sends a reading without its time`() {
        let report = MeterReport(
            connector: 1, transaction: nil,
            readings: [MeterReading(at: nil, samples: [MeterSample(.voltage, Decimal(230))])])
        #expect(throws: DialectError.missing(field: "timestamp")) {
            try dialect.request(for: .metered(report))
        }
    }

    @Test func `spells a foreign fault as OtherError with a vendor code`() throws {
        let report = StatusReport(
            connector: 1, status: .faulted, errorCode: "DoorOpen", at: Samples.noon)
        let tree = try JSONValue(
            parsing: try dialect.request(for: .statusChanged(report)).payload)
        #expect(tree["errorCode"] == "OtherError")
        #expect(tree["vendorErrorCode"] == "DoorOpen")
    }

    @Test func `answers a word the action does not have with its refusal`() {
        let payload = dialect.payload(of: .status("Perhaps"), to: .unlock(connector: 1))
        #expect(String(decoding: payload, as: UTF8.self) == #"{"status":"UnlockFailed"}"#)
    }
}
