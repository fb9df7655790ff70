import Charging

/// An Eastron meter: float32 registers, function 4. Written from the register map by hand and not
/// from Kerb's profile, so that a mistake there shows.
package struct EastronMeter: SlaveDevice {
    package enum Model: String, Hashable, Sendable, CaseIterable { case sdm630, sdm120 }

    private let bench: EVSEBench
    private let model: Model
    private let serial: UInt32

    package init(_ model: Model, measuring bench: EVSEBench, serial: UInt32 = 12_345_678) {
        self.model = model
        self.bench = bench
        self.serial = serial
    }

    package func registers(
        function: Int, address: Int, count: Int
    ) throws(SlaveException) -> [UInt16] {
        if function == 3 { return try identity(address, count) }
        // The meters refuse odd places, half values and long reads.
        guard address % 2 == 0, count % 2 == 0, count <= 80, address + count <= 0x0400 else {
            throw .illegalAddress
        }
        let words = inputs()
        return stride(from: address, to: address + count, by: 2).flatMap { place -> [UInt16] in
            let word = words[place] ?? 0
            return [UInt16(word >> 16), UInt16(word & 0xFFFF)]
        }
    }

    /// Serial number and meter code.
    private func identity(_ address: Int, _ count: Int) throws(SlaveException) -> [UInt16] {
        let code: UInt16 = model == .sdm630 ? 0x0070 : 0x0020
        let words = [UInt16(serial >> 16), UInt16(serial & 0xFFFF), code]
        let offset = address - 0xFC00
        guard offset >= 0, offset + count <= words.count else { throw .illegalAddress }
        return Array(words[offset..<offset + count])
    }

    private func inputs() -> [Int: UInt32] {
        let (volts, amperes, watts, energy, phases) = bench.now {
            evse -> (Int64, Int64, Int64, Int64, Set<Int>) in
            (
                evse.millivolts, evse.milliamperes, evse.milliwatts, evse.registerWattHours,
                evse.usedPhases
            )
        }
        func thousandths(_ value: Int64) -> UInt32 { (Float(value) / 1000).bitPattern }
        var words: [Int: UInt32] = [
            0x0046: thousandths(50_000), 0x0048: Self.kilowattHours(energy),
            0x0156: Self.kilowattHours(energy),
        ]
        switch model {
        case .sdm120:
            words[0x0000] = thousandths(volts)
            words[0x0006] = thousandths(amperes)
            words[0x000C] = thousandths(watts)
            words[0x001E] = thousandths(1000)
        case .sdm630:
            for phase in 0..<3 {
                let isUsed = phases.contains(phase)
                words[2 * phase] = thousandths(volts)
                words[0x0006 + 2 * phase] = thousandths(isUsed ? amperes : 0)
                words[0x000C + 2 * phase] = thousandths(isUsed ? watts / Int64(phases.count) : 0)
                words[0x001E + 2 * phase] = thousandths(1000)
            }
            words[0x0030] = thousandths(amperes * Int64(phases.count))
            words[0x0034] = thousandths(watts)
            words[0x003E] = thousandths(1000)
        }
        return words
    }

    /// The least float32 of kWh that is not below so many Wh; rounded down it is that Wh again, as
    /// long as float32 resolves a Wh, which it does below 8 MWh.
    static func kilowattHours(_ wattHours: Int64) -> UInt32 {
        precondition((0..<8_000_000).contains(wattHours), "beyond what float32 resolves to the Wh")
        guard wattHours > 0 else { return 0 }
        var shift = 0
        while (wattHours << shift) / 1000 < 1 << 23 { shift += 1 }
        var significand = ((wattHours << shift) + 999) / 1000
        if significand == 1 << 24 {
            significand >>= 1
            shift -= 1
        }
        return UInt32(127 + 23 - shift) << 23 | UInt32(significand & 0x7F_FFFF)
    }
}

/// A relay card: coils with timed pulses, digital inputs that hear the mirror contacts.
package struct RelayCard: SlaveDevice {
    /// By the coil's number.
    private let benches: [Int: EVSEBench]

    /// Coils and inputs of the card, wired or not.
    static let channels = 8

    /// Pulses: coil number plus this, value in tenths of a second.
    static let pulseOffset = 0x0200

    package init(_ benches: [Int: EVSEBench]) { self.benches = benches }

    package func bits(function: Int, address: Int, count: Int) throws(SlaveException) -> [Bool] {
        guard address + count <= Self.channels else { throw .illegalAddress }
        return (address..<address + count).map { channel in
            // A mirror contact proper is closed while the main contacts are open.
            benches[channel]?.now { function == 1 ? $0.isCoilOn : !$0.contactor.isClosed } ?? false
        }
    }

    package func writeCoil(address: Int, value: UInt16) throws(SlaveException) {
        let isPulse = address & 0xFF00 == Self.pulseOffset
        let coil = address & 0xFF
        guard coil < Self.channels, isPulse || address < 0x100 else { throw .illegalAddress }
        let span: Int64?
        if isPulse {
            span = Int64(value) * 100_000_000
        } else {
            switch value {
            case 0xFF00: span = nil
            case 0: span = 0
            default: throw .illegalValue
            }
        }
        benches[coil]?.now { $0.energise(forNanoseconds: span) }
    }
}

/// A pilot controller with EVSE-WB-DIN's registers.
package struct PilotController: SlaveDevice {
    private let bench: EVSEBench
    /// 16 knows whole amperes only; 17 with its bit set takes hundredths.
    private let firmware: UInt16
    private let usesHundredths: Bool

    package init(_ bench: EVSEBench, firmware: UInt16 = 17, usesHundredths: Bool = true) {
        self.bench = bench
        self.firmware = firmware
        self.usesHundredths = usesHundredths && firmware >= 17
    }

    private var perAmpere: Int64 { usesHundredths ? 100 : 1 }

    package func registers(
        function: Int, address: Int, count: Int
    ) throws(SlaveException) -> [UInt16] {
        guard function == 3 else { throw .illegalFunction }
        let known: ClosedRange<Int> = address < 2000 ? 1000...1007 : 2000...2017
        guard known.contains(address), known.contains(address + count - 1) else {
            throw .illegalAddress
        }
        let (offered, pilot) = bench.now { ($0.offered, $0.pilot) }
        return (address..<address + count).map { register in
            switch register {
            case 1000: UInt16(clamping: offered * perAmpere / 1000)
            case 1001: pilot == .c || pilot == .d ? UInt16(clamping: offered / 1000) : 0
            case 1002: Self.number(pilot)
            case 1005: firmware
            case 2005: usesHundredths ? 1 << 7 : 0
            case 2007: 32
            default: 0
            }
        }
    }

    package func writeRegisters(address: Int, values: [UInt16]) throws(SlaveException) {
        guard address == 1000, values.count == 1, let raw = values.first else {
            throw .illegalAddress
        }
        guard Int64(raw) <= 80 * perAmpere else { throw .illegalValue }
        bench.now { $0.offer(milliamperes: Int64(raw) * 1000 / perAmpere) }
    }

    private static func number(_ pilot: SimulatedCar.PilotLetter) -> UInt16 {
        switch pilot {
        case .a: 1
        case .b: 2
        case .c: 3
        case .d: 4
        case .e: 5
        }
    }
}
