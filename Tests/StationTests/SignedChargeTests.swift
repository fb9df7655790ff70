import Charging
import HAL
import Service
import TestSupport
import Testing

@testable import Station

/// A meter that signs as a test tells it to.
final class TestSigner: MeterSigner {
    let begun = Lock<[SignedCharge]>([])
    let ended = Lock<[SignedCharge]>([])
    private let record: SignedRecord?
    /// A meter that neither begins nor ends until a test lets it, and hears no cancellation.
    let isHung: Lock<Bool>
    /// It waits for its signature until the program ends.
    let isSlow = Lock(false)
    private let begins: Bool

    /// - `record`: what every charge ends with; nil: the meter cannot sign.
    /// - `begins`: false for a meter that does not follow, and has another charge open.
    init(_ record: SignedRecord?, isHung: Bool = false, begins: Bool = true) {
        self.record = record
        self.isHung = Lock(isHung)
        self.begins = begins
    }

    private func hang() async {
        while isHung.withLock({ $0 }) {
            // A task of its own, which nobody cancels.
            await Task { try? await SystemClock().sleep(milliseconds: 5) }.value
        }
    }

    func begin(_ charge: SignedCharge) async throws(MeterError) -> SignedRecord? {
        begun.withLock { $0.append(charge) }
        await hang()
        if !begins { throw .notSigned("the meter does not follow `begin`") }
        return nil
    }

    func end(_ charge: SignedCharge) async throws(MeterError) -> SignedRecord {
        ended.withLock { $0.append(charge) }
        await hang()
        while isSlow.withLock({ $0 }) {
            do { try await SystemClock().sleep(milliseconds: 5) } catch {
                throw .notSigned("the program ends")
            }
        }
        guard let record else { throw .notSigned("status 254") }
        return record
    }
}

@Suite(.timeLimit(.minutes(2))) struct `A charge on a signing meter` {
    let folder = TemporaryFolder()

    /// Plays one charge and gives what the operator heard of its end.
    private func stop(_ signer: TestSigner) async throws -> SessionStop {
        let board = TestBoard()
        board.change {
            $0.isPlugged = true
            $0.signer = signer
        }
        let station = try await TestStation.make(board: board, path: folder.file("board.db"))
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            await peer.hears(status: .charging)
            _ = try await peer.ask(.stop(.number(5_000)))
            await peer.hears { !$0.stops.isEmpty }
        }
        let stop = try #require(peer.heard.stops.first)
        // Whatever the meter signs: billed is the register.
        #expect(stop.meterStop.value == board.register)
        return stop
    }

    @Test func `ends with the meter's record, byte for byte`() async throws {
        let text = #"OCMF|{"FV":"1.0","ID":"a\"b","RD":[{"RV":0.001}]}|{"SD":"3000"}"#
        let signer = TestSigner(SignedRecord(format: "OCMF", text: text))
        let stop = try await stop(signer)
        let sample = try #require(stop.readings.first?.samples.first)
        #expect(sample.signed == text)
        #expect(sample.context == .transactionEnd)
        #expect(sample.quantity == .known(.energyImport))
        let charge = SignedCharge(outlet: "1", token: "TAG", charge: 1)
        #expect(signer.begun.withLock { $0 } == [charge])
        #expect(signer.ended.withLock { $0 } == [charge])
    }

    @Test func `ends all the same when the meter cannot sign`() async throws {
        #expect(try await stop(TestSigner(nil)).readings.isEmpty)
    }

    @Test func `is on the disk at once however long the meter takes, and told with its record`()
        async throws
    {
        let board = TestBoard()
        let record = SignedRecord(format: "OCMF", text: "OCMF|{}|{}")
        let signer = TestSigner(record, isHung: true)
        board.change {
            $0.isPlugged = true
            $0.signer = signer
        }
        let station = try await TestStation.make(board: board, path: folder.file("hung.db"))
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            await peer.hears(status: .charging)
            await peer.hears { !$0.starts.isEmpty }
            await until { await station.agent.view().journalDepth == 0 }
            _ = try await peer.ask(.stop(.number(5_000)))
            // The meter still begins, and yet the driver is free to go.
            await until { await !station.controller.hasTransaction }
            #expect(try await station.journal.recovered().isEmpty)
            #expect(try await station.journal.depth() > 0)
            #expect(peer.heard.stops.isEmpty)
            signer.isHung.withLock { $0 = false }
            await peer.hears { !$0.stops.isEmpty }
        }
        #expect(peer.heard.stops.first?.readings.first?.samples.first?.signed == record.text)
    }

    @Test
    func `is told without its record when the meter takes too long, or with it if that comes`()
        async throws
    {
        let clock = ManualClock()
        let journal = try await BoardJournal(
            path: folder.file("late.db"), bootID: "a", clock: clock)
        let board = TestBoard()
        board.change { $0.signer = TestSigner(nil, isHung: true) }
        let controller = ConnectorController(
            machine: ConnectorMachine(
                number: 1, board: .bench(), at: Instant(milliseconds: 0, wall: clock.now)),
            devices: ConnectorDevices(contactor: board, pilot: board, meter: board),
            journal: journal, executor: ThreadExecutor(name: "control"), clock: clock,
            log: .silent)
        for id in [Int64(1), 2] {
            let charge = try await journal.start(
                connector: 1, token: "TAG", isRemote: false, register: WattHours(100),
                at: clock.now)
            try await journal.confirmStart(
                try #require(try await journal.nextMessage()), operatorID: 7)
            let stop = ConnectorMachine.Stop(
                transaction: charge, register: WattHours(250), at: clock.now, reason: .remote,
                token: nil, isLastGood: false)
            #expect(charge == id)
            await controller.askForRecord(of: stop)
            try await controller.write(stop)
            #expect(try await journal.nextMessage() == nil)
            clock.advance(milliseconds: ConnectorTimings.signedRecordWaits - 1)
            await controller.releaseUnsigned()
            #expect(try await journal.nextMessage() == nil)
            #expect(await controller.isAwaitingRecord)
            clock.advance(milliseconds: 1)
            await controller.releaseUnsigned()
            #expect(await !controller.isAwaitingRecord)
            // It comes late, but before the stop was told.
            let late = SignedRecord(format: "OCMF", text: "OCMF|late")
            if id == 2 { #expect(try await journal.attach(late, toStopOf: charge)) }
            let message = try #require(try await journal.nextMessage())
            guard case .stop(let told) = message.kind else {
                Issue.record("no stop is owed")
                return
            }
            let signed = told.readings.first?.samples.first?.signed
            #expect(signed == (id == 2 ? late.text : nil))
            try await journal.confirm(message)
            #expect(try await !journal.attach(late, toStopOf: charge))
        }
        await journal.close()
    }

    @Test func `keeps its record on the disk until the operator has it`() async throws {
        let record = SignedRecord(format: "OCMF", text: "OCMF|{}|{}")
        let noon = Timestamp(seconds: 1_790_000_000)
        let path = folder.file("kept.db")
        let before = try await BoardJournal(path: path, bootID: "a")
        let charge = try await before.start(
            connector: 1, token: "TAG", isRemote: false, register: WattHours(100), at: noon)
        let first = try #require(try await before.nextMessage())
        try await before.confirmStart(first, operatorID: 7)
        try await before.stop(
            .init(
                transaction: charge, register: WattHours(250), at: noon, reason: .remote,
                token: nil, isLastGood: false), signed: record)
        await before.close()
        let after = try await BoardJournal(path: path, bootID: "b")
        guard case .stop(let stop) = try await after.nextMessage()?.kind else {
            Issue.record("no stop is owed")
            return
        }
        #expect(stop.readings.first?.samples.first?.signed == record.text)
        await after.close()
    }

    @Test func `gets no signature of another charge that its meter has open`() async throws {
        let old = SignedRecord(format: "OCMF", text: "OCMF|old")
        let signer = TestSigner(old, begins: false)
        #expect(try await stop(signer).readings.isEmpty)
        // It is ended all the same, and under nobody's name.
        #expect(
            signer.ended.withLock { $0 } == [SignedCharge(outlet: "1", token: "", charge: 0)])
    }

    /// The program ends while the meter signs; the next start fetches what it signed.
    @Test func `is told with its record although the program ended in between`() async throws {
        let record = SignedRecord(format: "OCMF", text: "OCMF|late")
        let signer = TestSigner(record)
        let board = TestBoard()
        board.change {
            $0.isPlugged = true
            $0.signer = signer
        }
        let path = folder.file("cut.db")
        let first = try await TestStation.make(board: board, path: path)
        try await first.during { () async throws in
            let controller = first.controller
            await until { await controller.isPlugged }
            await until {
                await controller.remoteStart(token: "TAG", needsAuthorization: false) == nil
            }
            await until { board.relayIsClosed }
            try await until { try await first.journal.signedCharge(of: 1) == 1 }
            signer.isSlow.withLock { $0 = true }
            await controller.take(.stop(.remote))
            try await until { try await first.journal.recovered().isEmpty }
            await until { signer.ended.withLock { $0.count } == 1 }
        }
        signer.isSlow.withLock { $0 = false }
        let second = try await TestStation.make(board: board, path: path)
        let peer = TestOperator()
        second.links.yield(peer)
        try await second.during { () async throws in await peer.hears { !$0.stops.isEmpty } }
        #expect(peer.heard.stops.first?.readings.first?.samples.first?.signed == record.text)
        let charge = SignedCharge(outlet: "1", token: "TAG", charge: 1)
        #expect(signer.ended.withLock { $0 } == [charge, charge])
        let after = try await BoardJournal(path: path, bootID: "boot-1")
        #expect(try await after.signedCharge(of: 1) == nil)
        await after.close()
    }

    @Test func `whose meter has no record left says so to a person`() async throws {
        let path = folder.file("none.db")
        let journal = try await BoardJournal(path: path, bootID: "boot-1")
        try await journal.setSigned(7, of: 1)
        await journal.close()
        let board = TestBoard()
        board.change { $0.signer = TestSigner(nil) }
        let station = try await TestStation.make(board: board, path: path)
        try await station.during { () async throws in
            try await until { try await !station.journal.view().notices.isEmpty }
            let notices = try await station.journal.view().notices
            #expect(notices.first?.contains(text: "charge 7 has no signed record") == true)
            try await until { try await station.journal.signedCharge(of: 1) == nil }
        }
    }

    /// - `isWritten`: false where the program before an update began it and wrote nothing down.
    @Test(arguments: [true, false])
    func `goes on with its meter's own transaction after a loss of power`(
        isWritten: Bool
    ) async throws {
        let path = folder.file("open.db")
        let journal = try await BoardJournal(path: path, bootID: "boot-0")
        let charge = try await journal.start(
            connector: 1, token: "TAG", isRemote: false, register: WattHours(5_000),
            at: SystemClock().now)
        if isWritten { try await journal.setSigned(charge, of: 1) }
        await journal.close()
        let record = SignedRecord(format: "OCMF", text: "OCMF|whole")
        let board = TestBoard()
        let signer = TestSigner(record)
        board.change { $0.signer = signer }
        let station = try await TestStation.make(board: board, path: path)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in await peer.hears { !$0.stops.isEmpty } }
        #expect(peer.heard.stops.first?.readings.first?.samples.first?.signed == record.text)
        #expect(signer.begun.withLock { $0 }.isEmpty)
    }

    /// An update that was taken back and came again: the program in between wrote nothing down, and what
    /// was written before it is of an earlier charge.
    @Test(arguments: [true, false])
    func `is not taken for an earlier one that is settled`(isSettled: Bool) async throws {
        let path = folder.file("again.db")
        let now = SystemClock().now
        let old = SignedRecord(format: "OCMF", text: "OCMF|old")
        let journal = try await BoardJournal(path: path, bootID: "boot-0")
        func start(_ register: Int64) async throws -> Int64 {
            try await journal.start(
                connector: 1, token: "TAG", isRemote: false, register: WattHours(register),
                at: now)
        }
        let first = try await start(4_000)
        try await journal.setSigned(first, of: 1)
        try await journal.stop(
            .init(
                transaction: first, register: WattHours(4_500), at: now, reason: .local,
                token: nil, isLastGood: false), signed: isSettled ? old : nil)
        let second = try await start(5_000)
        // While the first one's stop waits for its record, that is what the meter has.
        #expect(try await journal.isSignedLongAgo(first, of: 1) == isSettled)
        #expect(try await !journal.isSignedLongAgo(second, of: 1))
        await journal.close()
        let board = TestBoard()
        let signer = TestSigner(SignedRecord(format: "OCMF", text: "OCMF|new"))
        board.change { $0.signer = signer }
        let station = try await TestStation.make(board: board, path: path)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in await peer.hears { $0.stops.count == 2 } }
        let signed = peer.heard.stops.map { $0.readings.first?.samples.first?.signed }
        let expected: [String?] = isSettled ? ["OCMF|old", "OCMF|new"] : ["OCMF|new", nil]
        #expect(signed == expected)
    }
}
