import Charging
import HAL
import Service

/// The control pilot through a controller on Modbus; its register map is data.
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
    /// What this connector's registers are further than the first one's.
    private let offset: Int
    private let rules: DeviceRules
    private let memory = Lock(Memory())
    private let last = LastReading<PilotReading>(staleMilliseconds: staleMilliseconds)

    /// A lost frame with its quarantine is bridged, and nothing older is told. The contactor would
    /// else break the full current for every disturbance on the line.
    package static let staleMilliseconds: Int64 = 1_000

    private struct Memory: Sendable {
        var signal = PilotSignal.x1
        /// Units of the current register; nil until the controller has said so.
        var perAmpere: Int?
        /// What the controller has confirmed to offer; nil while a write is under way or failed.
        var confirmed: UInt16?
    }

    /// - `port`: which of the controller's connectors, from 1.
    package init(
        name: String, bus: ModbusBus, unit: Int, port: Int = 1,
        profile: EVSEControllerProfile = .init()
    ) {
        self.name = name
        self.bus = bus
        source = "\(name) \(bus.name)/\(unit)"
        self.unit = unit
        self.profile = profile
        offset = (port - 1) * profile.connectorStep
        rules = DeviceRules(
            timeoutMilliseconds: profile.timeoutMilliseconds,
            gapMilliseconds: profile.gapMilliseconds)
    }

    package func set(_ signal: PilotSignal) {
        memory.withLock { $0.signal = signal }
        write()
    }

    private func write() {
        // The current first: a controller that is switched on offers what it was told last.
        writeCurrent()
        if profile.enable != .none { writeEnable() }
    }

    private func writeCurrent() {
        bus.post(
            unit: unit, rules: rules, priority: .control, key: "pilot \(unit)/\(offset)",
            prepare: { [self] in
                let value = memory.withLock { memory in
                    memory.confirmed = nil
                    return wanted(memory)
                }
                // With a switch of its own, 0 A is no current that the controller would take.
                if profile.enable != .none, value == 0 { return nil }
                let address = profile.currentRegister + offset
                return profile.writeFunction == 16
                    ? .writeRegisters(address: address, values: [value])
                    : .writeRegister(address: address, value: value)
            }
        ) { [self] result in
            // A write that failed shows in the next reading, which then writes again.
            guard case .success = result else { return }
            memory.withLock { $0.confirmed = wanted($0) }
        }
    }

    private func writeEnable() {
        bus.post(
            unit: unit, rules: rules, priority: .control, key: "pilot on \(unit)/\(offset)",
            prepare: { [self] in
                let (value, confirmed) = memory.withLock { (wanted($0), $0.confirmed) }
                let isOn = value > 0
                // Switched on, it would offer whatever it was told before.
                if isOn, confirmed != value { return nil }
                switch profile.enable {
                case .none: return nil
                case .coil(let address):
                    return .writeCoil(address: address + offset, value: isOn ? 0xFF00 : 0)
                case .register(let address):
                    let value: UInt16 = isOn ? 1 : 0
                    return profile.writeFunction == 16
                        ? .writeRegisters(address: address + offset, values: [value])
                        : .writeRegister(address: address + offset, value: value)
                }
            }
        ) { _ in
            // As above.
        }
    }

    private func wanted(_ memory: Memory) -> UInt16 {
        guard case .pwm(let current) = memory.signal else { return 0 }
        // Until the unit is known too little is asked for, not too much.
        return profile.raw(current, unitsPerAmpere: memory.perAmpere ?? 1)
    }

    package func reading() async throws(DeviceError) -> Measured<PilotReading> {
        do throws(DeviceError) {
            return last.keep(try await freshReading())
        } catch {
            var before = try last.instead(of: error, at: bus.clock.monotonicMilliseconds)
            before.value.repeatedFor = error
            return before
        }
    }

    private func freshReading() async throws(DeviceError) -> Measured<PilotReading> {
        let askedAt = bus.clock.monotonicMilliseconds
        let at = bus.clock.now
        let perAmpere = try await perAmpere()
        let (current, raw) = try await registers()
        guard let state = profile.state(raw) else {
            throw .wrongAnswer("pilot state \(raw)")
        }
        let isOn = try await isOn()
        let wanted = memory.withLock { self.wanted($0) }
        // A controller that was without power has forgotten what it was told; it is told again.
        let isCurrentRight = profile.enable != .none && wanted == 0 || current == wanted
        if !isCurrentRight || isOn.map({ $0 != (wanted > 0) }) ?? false { write() }
        let offered =
            isOn == false
            ? Amperes.zero : Amperes(milliamperes: Int64(current) * 1000 / Int64(perAmpere))
        return Measured(
            PilotReading(state: state, offered: offered), source: source,
            askedAt: askedAt, at: at)
    }

    /// The current and the state, in one read where they lie together.
    private func registers() async throws(DeviceError) -> (UInt16, UInt16) {
        let distance = profile.stateRegister - profile.currentRegister
        if profile.stateFunction == 3, (1...4).contains(distance) {
            let read = try await read(profile.currentRegister + offset, distance + 1)
            return (read[0], read[distance])
        }
        let current = try await read(profile.currentRegister + offset, 1)
        let state = try await read(
            profile.stateRegister + offset, 1, function: profile.stateFunction)
        return (current[0], state[0])
    }

    /// Whether the controller is switched on; nil where it has no such switch.
    private func isOn() async throws(DeviceError) -> Bool? {
        switch profile.enable {
        case .none: return nil
        case .register(let address): return try await read(address + offset, 1)[0] != 0
        case .coil(let address):
            return try await ask(
                .readBits(function: 1, address: address + offset, count: 1))[0] != 0
        }
    }

    /// Hundredths only where the firmware knows them and somebody has switched them on; other parts
    /// only where what the controller was left with makes sense in them.
    private func perAmpere() async throws(DeviceError) -> Int {
        if let known = memory.withLock({ $0.perAmpere }) { return known }
        var found = profile.unitsPerAmpere
        if found > 1 {
            let current = Int(try await read(profile.currentRegister + offset, 1)[0])
            guard current >= 6 * found else {
                throw .wrongAnswer(
                    "current register \(current) is less than 6 A in this board's unit; "
                        + "another firmware, another board profile")
            }
        }
        if let bit = profile.hundredthsBit,
            try await read(profile.firmwareRegister, 1)[0] >= profile.hundredthsFromFirmware
        {
            let configuration = try await read(profile.configurationRegister, 1)[0]
            if configuration >> UInt16(bit) & 1 == 1 { found = 100 }
        }
        let settled = found
        memory.withLock { $0.perAmpere = settled }
        return settled
    }

    private func read(
        _ address: Int, _ count: Int, function: Int = 3
    ) async throws(DeviceError) -> [UInt16] {
        try await ask(.readRegisters(function: function, address: address, count: count))
    }

    private func ask(_ request: ModbusRequest) async throws(DeviceError) -> [UInt16] {
        do throws(BusError) {
            return try await bus.call(
                unit: unit, request, rules: rules, priority: .state)
        } catch {
            throw error.asDeviceError
        }
    }
}
