import Charging
import HAL

/// Which meter answers at an address: what `kerb-edge probe` shows.
package struct ModbusProbe: Sendable {
    package struct Finding: Hashable, Sendable {
        package var unit: Int
        /// The profiles whose probe rule holds; empty for a device nobody knows.
        package var profiles: [String]

        package init(unit: Int, profiles: [String]) {
            self.unit = unit
            self.profiles = profiles
        }
    }

    private let bus: ModbusBus
    private let profiles: [MeterProfile]

    package init(bus: ModbusBus, profiles: [MeterProfile]) {
        self.bus = bus
        self.profiles = profiles
    }

    /// Asks each unit for each profile's probe register.
    ///
    /// - Returns: the units that answered at all, an exception included.
    /// - Throws: `.down` when the bus itself cannot be opened.
    package func findings(units: some Sequence<Int>) async throws(BusError) -> [Finding] {
        var findings: [Finding] = []
        for unit in units {
            if let finding = try await finding(unit) { findings.append(finding) }
        }
        return findings
    }

    private func finding(_ unit: Int) async throws(BusError) -> Finding? {
        var finding = Finding(unit: unit, profiles: [])
        var hasAnswered = false
        for profile in profiles {
            let value = profile.probe.value
            let rules = DeviceRules(
                timeoutMilliseconds: profile.timeoutMilliseconds,
                gapMilliseconds: profile.gapMilliseconds)
            do throws(BusError) {
                let registers = try await bus.call(
                    unit: unit,
                    .readRegisters(
                        function: value.function, address: value.address, count: value.count),
                    rules: rules, priority: .rest)
                hasAnswered = true
                if profile.probe.matches(registers) { finding.profiles.append(profile.name) }
            } catch {
                switch error {
                case .refused: hasAnswered = true
                case .down, .closed: throw error
                case .noAnswer, .wrongAnswer, .resting, .busy, .superseded:
                    // A unit that is silent to the first question is not there.
                    if !hasAnswered { return nil }
                }
            }
        }
        return hasAnswered ? finding : nil
    }
}

extension MeterProfile.Probe {
    /// Whether the registers are what this kind of meter says.
    package func matches(_ registers: [UInt16]) -> Bool {
        let bits = RegisterType.bits(registers, words: value.words, bytes: value.bytes)
        if !equals.isEmpty { return equals.contains(bits) }
        var image = RegisterImage()
        image.store(registers, function: value.function, address: value.address)
        guard case .steps = value.outcome(in: image, rounding: .nearest) else { return false }
        return true
    }
}
