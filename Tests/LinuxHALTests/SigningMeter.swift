import LinuxHAL
import Service
import Simulation

/// An Iskra WM3M4 as far as it signs: holding registers 7000 to 8191, written from its manual's table
/// and not from Kerb's profile.
final class SigningMeter: SlaveDevice {
    private let state: Lock<State>

    struct State: Sendable {
        var registers: [Int: UInt16] = [7000: 0, 7052: 1]
        /// What was written, oldest first.
        var writes: [(address: Int, values: [UInt16])] = []
        var record = "{\"FV\":\"1.0\",\"RD\":[{\"RV\":1.234}]}"
        var signature: [UInt8] = [0x30, 0x03, 0x00, 0x00, 0xA7]
        /// How often the status is asked for before the signature is ready.
        var asksUntilReady = 2
        var failsWith: UInt16?
        /// It says nothing of itself while a transaction is open.
        var isMuteWhileActive = false
    }

    init() { state = Lock(State()) }

    func now<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        state.withLock(body)
    }

    func registers(
        function: Int, address: Int, count: Int
    ) throws(SlaveException) -> [UInt16] {
        guard function == 3, (7000..<8300).contains(address) else { throw .illegalAddress }
        return try state.withLock { (state) throws(SlaveException) -> [UInt16] in
            if state.isMuteWhileActive, state.registers[7000] == 1 { throw .deviceFailure }
            if address == 7052, state.registers[7052] == 2 {
                state.asksUntilReady -= 1
                if state.asksUntilReady <= 0 { state.registers[7052] = state.failsWith ?? 15 }
            }
            return (address..<address + count).map { state.registers[$0] ?? 0 }
        }
    }

    func writeRegisters(address: Int, values: [UInt16]) throws(SlaveException) {
        try state.withLock { (state) throws(SlaveException) in
            state.writes.append((address, values))
            for (offset, value) in values.enumerated() {
                state.registers[address + offset] = value
            }
            guard address == 7051 else { return }
            switch values.first {
            case 0x4200: state.registers[7000] = 1
            case 0x7200:
                // After a power failure it closes nothing before it knows time and charge again.
                let knows = state.registers[7071] == 2 && state.registers[7056] ?? 0 > 0
                guard state.registers[7000] != 2 || knows else { throw .deviceFailure }
                state.registers[7000] = 0
                state.store(Array(state.record.utf8), lengthAt: 7057, at: 7612)
                state.store(state.signature, lengthAt: 7058, at: 8188)
            default: throw .illegalValue
            }
            state.registers[7052] = 2
            state.asksUntilReady = 2
        }
    }

    /// The supply is gone and comes back in the middle of a charge.
    func loseSupply() {
        state.withLock { state in
            state.registers[7000] = 2
            for address in [7053, 7054, 7055, 7056, 7071] { state.registers[address] = 0 }
        }
    }

    /// The metadata as they stand in the meter.
    var metadata: String {
        state.withLock { state in
            let length = Int(state.registers[7056] ?? 0)
            let words = (0..<(length + 1) / 2).map { state.registers[7100 + $0] ?? 0 }
            let bytes = words.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }.prefix(length)
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}

extension SigningMeter.State {
    fileprivate mutating func store(_ bytes: [UInt8], lengthAt: Int, at address: Int) {
        registers[lengthAt] = UInt16(bytes.count)
        for index in stride(from: 0, to: bytes.count, by: 2) {
            let low = index + 1 < bytes.count ? bytes[index + 1] : 0
            registers[address + index / 2] = UInt16(bytes[index]) << 8 | UInt16(low)
        }
    }
}
