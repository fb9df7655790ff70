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

    /// - `record`: what every charge ends with; nil: the meter cannot sign.
    init(_ record: SignedRecord?) { self.record = record }

    func begin(_ charge: SignedCharge) async throws(MeterError) -> SignedRecord? {
        begun.withLock { $0.append(charge) }
        return nil
    }

    func end(_ charge: SignedCharge) async throws(MeterError) -> SignedRecord {
        ended.withLock { $0.append(charge) }
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

    @Test func `keeps its record on the disk until the operator has it`() async throws {
        let record = SignedRecord(format: "OCMF", text: "OCMF|{}|{}")
        let noon = Timestamp(seconds: 1_790_000_000)
        let path = folder.file("kept.db")
        let before = try await BoardJournal(path: path, bootID: "a")
        let charge = try await before.start(
            connector: 1, token: "TAG", isRemote: false, register: WattHours(100), at: noon)
        let first = try #require(try await before.nextMessage(at: noon))
        try await before.confirmStart(first, operatorID: 7)
        try await before.stop(
            .init(
                transaction: charge, register: WattHours(250), at: noon, reason: .remote,
                token: nil, isLastGood: false), signed: record)
        await before.close()
        let after = try await BoardJournal(path: path, bootID: "b")
        guard case .stop(let stop) = try await after.nextMessage(at: noon)?.kind else {
            Issue.record("no stop is owed")
            return
        }
        #expect(stop.readings.first?.samples.first?.signed == record.text)
        await after.close()
    }
}
