import Charging
import HAL
import Service

/// The control pilot through a controller with EVSE-WB-DIN's register map.
///
/// The controller makes the square wave and its own diode check; F cannot be asked for and is sent
/// as "no current", which the controller signals as X1.
package final class ModbusEVSE: Pilot {
    package let name: String
    private let bus: ModbusBus
    /// Where its readings come from.
    private let source: String
    private let unit: Int
    private let profile: EVSEControllerProfile
    private let rules: DeviceRules
    private let memory = Lock(Memory())

    private struct Memory: Sendable {
        var signal = PilotSignal.x1
        /// 1 for whole amperes, 100 for hundredths; nil until the controller has said so.
        var perAmpere: Int?
    }

    package init(
        name: String, bus: ModbusBus, unit: Int, profile: EVSEControllerProfile = .init()
    ) {
        self.name = name
        self.bus = bus
        source = "\(name) \(bus.name)/\(unit)"
        self.unit = unit
        self.profile = profile
        rules = DeviceRules(
            timeoutMilliseconds: profile.timeoutMilliseconds,
            gapMilliseconds: profile.gapMilliseconds)
    }

    package func set(_ signal: PilotSignal) {
        memory.withLock { $0.signal = signal }
        write()
    }

    private func write() {
        bus.post(
            unit: unit, rules: rules, priority: .control, key: "pilot \(unit)",
            prepare: { [self] in
                memory.withLock { memory in
                    .writeRegister(
                        address: profile.currentRegister,
                        value: Self.raw(memory.signal, perAmpere: memory.perAmpere ?? 1))
                }
            }
        ) { _ in
            // A write that failed shows in the next reading, which then writes again.
        }
    }

    /// What to write for a signal: rounded down, and nothing below 6 A, which no duty can say.
    static func raw(_ signal: PilotSignal, perAmpere: Int) -> UInt16 {
        guard case .pwm(let current) = signal, current >= Amperes(6) else { return 0 }
        return UInt16(clamping: current.milliamperes * Int64(perAmpere) / 1000)
    }

    package func reading() async throws(DeviceError) -> Measured<PilotReading> {
        let askedAt = bus.clock.monotonicMilliseconds
        let at = bus.clock.now
        let perAmpere = try await perAmpere()
        let count = profile.stateRegister - profile.currentRegister + 1
        let registers = try await read(profile.currentRegister, count)
        guard let state = Self.state(registers[count - 1]) else {
            throw .wrongAnswer("pilot state \(registers[count - 1])")
        }
        let wanted = memory.withLock { Self.raw($0.signal, perAmpere: perAmpere) }
        // A controller that was without power has forgotten the current; it is told again.
        if registers[0] != wanted { write() }
        let offered = Amperes(milliamperes: Int64(registers[0]) * 1000 / Int64(perAmpere))
        return Measured(
            PilotReading(state: state, offered: offered), source: source,
            askedAt: askedAt, at: at)
    }

    /// Hundredths only where the firmware knows them and somebody has switched them on.
    private func perAmpere() async throws(DeviceError) -> Int {
        if let known = memory.withLock({ $0.perAmpere }) { return known }
        var found = 1
        if try await read(profile.firmwareRegister, 1)[0] >= profile.hundredthsFromFirmware {
            let configuration = try await read(profile.configurationRegister, 1)[0]
            if configuration >> UInt16(profile.hundredthsBit) & 1 == 1 { found = 100 }
        }
        let settled = found
        memory.withLock { $0.perAmpere = settled }
        return settled
    }

    private func read(_ address: Int, _ count: Int) async throws(DeviceError) -> [UInt16] {
        do throws(BusError) {
            return try await bus.call(
                unit: unit, .readRegisters(function: 3, address: address, count: count),
                rules: rules, priority: .state)
        } catch {
            throw error.asDeviceError
        }
    }

    private static func state(_ raw: UInt16) -> PilotState? {
        switch raw {
        case 1: .a
        case 2: .b
        case 3: .c
        case 4: .d
        case 5: .e
        default: nil
        }
    }
}
