import Charging
import HAL
import Service

/// Which meter answers at an address: what `kerb-edge probe` shows.
package struct ModbusProbe: Sendable {
    package struct Finding: Hashable, Sendable {
        package var unit: Int
        /// The profiles whose probe rules hold, the best founded first; empty for a device nobody
        /// knows.
        package var profiles: [String]
        /// The device's own name for its kind is the first profile's.
        package var isCertain: Bool
        /// As the first profile reads it.
        package var identity: MeterIdentity

        package init(
            unit: Int, profiles: [String], isCertain: Bool = false,
            identity: MeterIdentity = MeterIdentity()
        ) {
            self.unit = unit
            self.profiles = profiles
            self.isCertain = isCertain
            self.identity = identity
        }
    }

    private let bus: ModbusBus
    private let profiles: [MeterProfile]

    /// - `profiles`: all that may be there.
    package init(bus: ModbusBus, profiles: [MeterProfile]) {
        self.bus = bus
        self.profiles = profiles
    }

    /// Asks each unit for each profile's probe registers.
    ///
    /// - Returns: the units that answered at all, an exception included.
    /// - Throws: `.down` when the bus itself cannot be opened.
    package func findings(units: some Sequence<Int>) async throws(BusError) -> [Finding] {
        var findings: [Finding] = []
        for unit in units {
            var asking = Asking(bus: bus, unit: unit)
            if let finding = try await finding(&asking) { findings.append(finding) }
        }
        return findings
    }

    private func finding(_ asking: inout Asking) async throws(BusError) -> Finding? {
        // A device that knows one function only may be silent to the other.
        for function in [3, 4] {
            guard !asking.hasAnswered, let first = profiles.first(asking: function) else {
                continue
            }
            _ = try await asking.registers(first.0, first.1)
        }
        guard asking.hasAnswered else { return nil }
        var fitting: [(profile: MeterProfile, weight: Int)] = []
        for profile in profiles {
            if let weight = try await weight(of: profile, &asking) {
                fitting.append((profile, weight))
            }
        }
        // More has to hold for a heavier one; names settle the rest, so that the order stands.
        fitting.sort { ($1.weight, $0.profile.name) < ($0.weight, $1.profile.name) }
        let named = fitting.filter { $0.weight >= Self.certainty }
        if !named.isEmpty { fitting = named }
        var identity = MeterIdentity()
        if let best = fitting.first?.profile {
            identity.model = try await asking.text(best.model, best)
            identity.serial = try await asking.text(best.serial, best)
            identity.firmware = try await asking.text(best.firmware, best)
        }
        return Finding(
            unit: asking.unit, profiles: fitting.map(\.profile.name), isCertain: !named.isEmpty,
            identity: identity)
    }

    /// How long an unknown unit may take for its first answer.
    package static let contactMilliseconds = 600

    /// From this weight on the device itself says what it is.
    private static let certainty = 100

    /// nil when it is not this kind.
    private func weight(
        of profile: MeterProfile, _ asking: inout Asking
    ) async throws(BusError) -> Int? {
        var weight = 0
        for rule in profile.probe {
            guard let registers = try await asking.registers(rule.value, profile),
                rule.matches(registers)
            else { return nil }
            weight += rule.isName ? Self.certainty : 1
        }
        for rule in profile.probeUnless {
            if let registers = try await asking.registers(rule.value, profile),
                rule.matches(registers)
            {
                return nil
            }
            weight += 1
        }
        if let model = profile.model, !profile.modelCodes.isEmpty,
            let registers = try await asking.registers(model, profile)
        {
            let code = RegisterType.bits(registers, words: model.words, bytes: model.bytes)
            if profile.modelCodes.contains(code) { weight += Self.certainty }
        }
        return weight
    }
}

/// One unit's answers, each question put once.
private struct Asking {
    let bus: ModbusBus
    let unit: Int
    var hasAnswered = false
    private var known: [ModbusRequest: [UInt16]?] = [:]

    init(bus: ModbusBus, unit: Int) {
        self.bus = bus
        self.unit = unit
    }

    /// nil where the device refuses or is silent.
    mutating func registers(
        _ value: MeterProfile.Value, _ profile: MeterProfile
    ) async throws(BusError) -> [UInt16]? {
        let request = value.request
        if let answer = known[request] { return answer }
        var answer: [UInt16]?
        var triesLeft = 2
        while triesLeft > 0 {
            triesLeft -= 1
            do throws(BusError) {
                answer = try await bus.call(
                    unit: unit, request, rules: rules(profile), priority: .rest)
                hasAnswered = true
                triesLeft = 0
            } catch {
                switch error {
                case .refused:
                    hasAnswered = true
                    triesLeft = 0
                case .down, .closed: throw error
                case .noAnswer: triesLeft = 0
                case .wrongAnswer, .busy, .superseded: break
                case .resting(let milliseconds):
                    // Silent to what it does not know; after its rest it may know the next thing.
                    // A cancelled wait only asks too early.
                    try? await bus.clock.sleep(milliseconds: milliseconds)
                }
            }
        }
        known[request] = .some(answer)
        return answer
    }

    /// Until the unit has answered nobody knows how slow it is.
    private func rules(_ profile: MeterProfile) -> DeviceRules {
        hasAnswered
            ? DeviceRules(profile)
            : DeviceRules(
                timeoutMilliseconds: ModbusProbe.contactMilliseconds,
                gapMilliseconds: profile.gapMilliseconds)
    }

    mutating func text(
        _ value: MeterProfile.Value?, _ profile: MeterProfile
    ) async throws(BusError) -> String? {
        guard let value, let registers = try await registers(value, profile) else { return nil }
        return value.text(registers)
    }
}

extension [MeterProfile] {
    /// Some probe register that is read with this function.
    fileprivate func first(asking function: Int) -> (MeterProfile.Value, MeterProfile)? {
        for profile in self {
            if let rule = profile.probe.first(where: { $0.value.function == function }) {
                return (rule.value, profile)
            }
        }
        return nil
    }
}
