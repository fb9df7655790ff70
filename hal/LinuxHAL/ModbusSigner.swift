import Charging
import HAL
import Service

/// A meter's own transaction over Modbus, step by step as its profile says.
package struct ModbusSigner: MeterSigner {
    let profile: SigningProfile
    let bus: ModbusBus
    let unit: Int
    let rules: DeviceRules

    /// How long the meter may take to follow a command, and to sign.
    package static let stateWaitsMilliseconds: Int64 = 2000
    package static let signatureWaitsMilliseconds: Int64 = 15_000
    package static let asksEveryMilliseconds: Int64 = 100
    /// Registers per read or write of a long text; every meter takes as many.
    package static let registersPerPiece = 40

    package func begin(_ charge: SignedCharge) async throws(MeterError) -> SignedRecord? {
        var left: SignedRecord?
        if try await word(profile.state.address) != profile.state.idle {
            // Nobody knows whose it is: after a loss of supply it must not be given this driver's name.
            left = try await end(SignedCharge(outlet: charge.outlet, token: "", charge: 0))
        }
        try await start(charge)
        return left
    }

    private func start(_ charge: SignedCharge) async throws(MeterError) {
        do throws(MeterError) { try await perform(profile.begin, charge) } catch {
            // The answer to its last step may be all that is missing; else the first error is to be told.
            let state = try? await word(profile.state.address)
            guard state == profile.state.active else { throw error }
        }
        do throws(MeterError) {
            try await waitForState("begin") { $0 == profile.state.active }
            try await waitForSignature()
        } catch {
            // The meter took every step and had nothing open before. Where only nobody heard what came of it
            // the transaction is this charge's; where there is none its end says so.
            if case .notSigned = error, !Task.isCancelled { throw error }
        }
    }

    package func end(_ charge: SignedCharge) async throws(MeterError) -> SignedRecord {
        let state = try await word(profile.state.address)
        guard state != profile.state.idle else { throw .notSigned("no transaction is open") }
        let isInterrupted = state == profile.state.interrupted
        try await perform(isInterrupted ? profile.endAfterInterruption : profile.end, charge)
        try await waitForState("end") { $0 == profile.state.idle }
        try await waitForSignature()
        let signature = try await bytes(profile.signature)
        let record = try await bytes(profile.record)
        guard !record.isEmpty, !signature.isEmpty else { throw .notSigned("the record is empty") }
        // The two halves are put together as OCMF 1.4.1 §3.2 says; in neither is a byte touched.
        guard let text = String(validating: record, as: UTF8.self) else {
            throw .notSigned("the record is no text")
        }
        let hex = signature.map { Self.hex($0) }.joined()
        return SignedRecord(
            format: profile.format, text: "\(profile.format)|\(text)|{\"SD\":\"\(hex)\"}")
    }

    private static func hex(_ byte: UInt8) -> String {
        let text = String(byte, radix: 16, uppercase: true)
        return text.count == 1 ? "0" + text : text
    }

    // MARK: Steps

    private func perform(
        _ steps: [SigningProfile.Step], _ charge: SignedCharge
    ) async throws(MeterError) {
        for step in steps {
            switch step {
            case .write(let address, let value):
                try await ask(.writeRegister(address: address, value: value))
            case .writeTime(let address):
                let seconds = UInt32(clamping: bus.clock.now.milliseconds / 1000)
                try await ask(.writeRegister(address: address, value: UInt16(seconds >> 16)))
                try await ask(
                    .writeRegister(address: address + 1, value: UInt16(seconds & 0xFFFF)))
            case .writeMetadata: try await write(profile.metadata(of: charge))
            }
        }
    }

    private func write(_ text: String) async throws(MeterError) {
        let place = profile.metadataPlace
        let bytes = Array(text.utf8)
        guard bytes.count <= place.mostBytes else {
            throw .notSigned("\(bytes.count) bytes of metadata are more than the meter takes")
        }
        var words = stride(from: 0, to: bytes.count, by: 2).map { index in
            UInt16(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt16(bytes[index + 1]) : 0)
        }
        var address = place.address
        while !words.isEmpty {
            let piece = Array(words.prefix(Self.registersPerPiece))
            words.removeFirst(piece.count)
            try await ask(.writeRegisters(address: address, values: piece))
            address += piece.count
        }
        try await ask(
            .writeRegister(address: place.lengthAddress, value: UInt16(clamping: bytes.count)))
    }

    private func bytes(_ place: SigningProfile.Text) async throws(MeterError) -> [UInt8] {
        let length = Int(try await word(place.lengthAddress))
        guard length <= place.mostBytes else {
            throw .notSigned("\(length) bytes are more than the meter can have")
        }
        var words: [UInt16] = []
        let count = (length + 1) / 2
        while words.count < count {
            words += try await ask(
                .readRegisters(
                    function: 3, address: place.address + words.count,
                    count: min(Self.registersPerPiece, count - words.count)))
        }
        return Array(words.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }.prefix(length))
    }

    // MARK: Waiting

    private func waitForState(
        _ what: String, _ isThere: (UInt16) -> Bool
    ) async throws(MeterError) {
        let until = bus.clock.monotonicMilliseconds + Self.stateWaitsMilliseconds
        while !isThere(try await word(profile.state.address)) {
            try await pause(until: until, "the meter does not follow `\(what)`")
        }
    }

    private func waitForSignature() async throws(MeterError) {
        let until = bus.clock.monotonicMilliseconds + Self.signatureWaitsMilliseconds
        while true {
            let status = try await word(profile.status.address)
            if status == profile.status.ready { return }
            guard status < profile.status.errorsFrom else {
                throw .notSigned("signature status \(status)")
            }
            try await pause(
                until: until, "no signature after \(Self.signatureWaitsMilliseconds) ms")
        }
    }

    private func pause(until: Int64, _ why: String) async throws(MeterError) {
        guard bus.clock.monotonicMilliseconds < until else { throw .notSigned(why) }
        do {
            try await bus.clock.sleep(milliseconds: Self.asksEveryMilliseconds)
        } catch {
            throw .notSigned("the program ends")
        }
    }

    private func word(_ address: Int) async throws(MeterError) -> UInt16 {
        let words = try await ask(.readRegisters(function: 3, address: address, count: 1))
        return words.first ?? 0
    }

    /// Nothing is asked twice: a command that may have been heard is not given again.
    @discardableResult
    private func ask(_ request: ModbusRequest) async throws(MeterError) -> [UInt16] {
        do throws(BusError) {
            return try await bus.call(unit: unit, request, rules: rules, priority: .energy)
        } catch {
            throw error.asMeterError
        }
    }
}
