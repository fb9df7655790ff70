import Charging
import HAL
import Service

/// A meter behind Modbus, read as its profile says.
package final class ModbusMeter: EnergyMeter {
    package let name: String
    package let profile: MeterProfile
    private let bus: ModbusBus
    private let unit: Int
    private let rules: DeviceRules
    private let memory: Lock<Memory>

    /// How often a block is asked for again after a damaged or foreign answer. Silence is not
    /// asked again: it ends the cycle, so that a dead meter does not hold up its neighbours.
    package static let repeatsAfterWrongAnswer = 2

    /// How often the meter is asked whether it is still the same one.
    package static let identityMilliseconds: Int64 = 3_600_000

    private struct Memory: Sendable {
        /// The serial number seen first, and when it was last compared.
        var serial: String?
        var comparedAt: Int64?
        var plan: [ReadBlock]
        /// The meter refused the planned size once; from then on it is read in small pieces.
        var isSmall = false
        var energy: EnergyGuard
    }

    /// - `maximumWatts`: more than the connector can carry; bounds how fast the register may run.
    package init(
        name: String, profile: MeterProfile, bus: ModbusBus, unit: Int, maximumWatts: Int64
    ) {
        self.name = name
        self.profile = profile
        self.bus = bus
        self.unit = unit
        rules = DeviceRules(
            timeoutMilliseconds: profile.timeoutMilliseconds,
            gapMilliseconds: profile.gapMilliseconds,
            quarantineMilliseconds: profile.quarantineMilliseconds)
        memory = Lock(
            Memory(plan: profile.plan(), energy: EnergyGuard(maximumWatts: maximumWatts)))
    }

    package func readings() async throws(MeterError) -> MeterReadings {
        let askedAt = bus.clock.monotonicMilliseconds
        let at = bus.clock.now
        let image = try await image()
        let readings = try profile.decode(image, name: name, askedAt: askedAt, at: at)
        try await compareIdentity(askedAt)
        try memory.withLock { (memory) throws(MeterError) in
            try memory.energy.check(readings.energy, askedAt: askedAt)
        }
        return readings
    }

    /// One cycle of the plan; a size the meter refuses is given up for good.
    private func image() async throws(MeterError) -> RegisterImage {
        do throws(MeterError) {
            return try await image(memory.withLock { $0.plan })
        } catch {
            guard case .refused(let code) = error, code == 2 || code == 3,
                !memory.withLock({ $0.isSmall })
            else { throw error }
            let small = profile.plan(most: profile.fallbackRegistersPerRead)
            memory.withLock {
                $0.plan = small
                $0.isSmall = true
            }
            return try await image(small)
        }
    }

    private func image(_ plan: [ReadBlock]) async throws(MeterError) -> RegisterImage {
        var image = RegisterImage()
        for block in plan {
            let request = ModbusRequest.readRegisters(
                function: block.function, address: block.address, count: block.count)
            let isBilled = block.quantities.contains { $0.isEnergy }
            let registers = try await ask(request, isBilled ? .energy : .rest)
            image.store(registers, function: block.function, address: block.address)
        }
        return image
    }

    /// Notices that somebody changed the meter: then its register means nothing to a running charge.
    private func compareIdentity(_ now: Int64) async throws(MeterError) {
        let last = memory.withLock { $0.comparedAt }
        if let last, now - last < Self.identityMilliseconds { return }
        let probe = profile.probe.value
        if !profile.probe.equals.isEmpty {
            let registers = try await ask(
                .readRegisters(
                    function: probe.function, address: probe.address, count: probe.count), .rest)
            guard profile.probe.matches(registers) else {
                throw .wrongDevice(
                    expected: profile.title, found: "a device that answers \(registers)")
            }
        }
        let serial: String?
        do throws(MeterError) {
            serial = try await text(of: profile.serial)
        } catch {
            // Not every meter of a family has the register; one without can only not be told apart.
            guard case .refused = error else { throw error }
            serial = nil
        }
        let known = memory.withLock { $0.serial }
        if let known, let serial, known != serial {
            throw .wrongDevice(expected: "serial \(known)", found: "serial \(serial)")
        }
        memory.withLock {
            $0.serial = known ?? serial
            $0.comparedAt = now
        }
    }

    private func ask(
        _ request: ModbusRequest, _ priority: BusPriority
    ) async throws(MeterError) -> [UInt16] {
        var left = Self.repeatsAfterWrongAnswer
        while true {
            do throws(BusError) {
                return try await bus.call(
                    unit: unit, request, rules: rules, priority: priority)
            } catch {
                guard case .wrongAnswer = error, left > 0 else { throw error.asMeterError }
                left -= 1
            }
        }
    }

    package func identity() async throws(MeterError) -> MeterIdentity {
        var identity = MeterIdentity()
        identity.model = try await text(of: profile.model)
        identity.serial = try await text(of: profile.serial)
        identity.firmware = try await text(of: profile.firmware)
        return identity
    }

    private func text(of value: MeterProfile.Value?) async throws(MeterError) -> String? {
        guard let value else { return nil }
        let registers = try await ask(
            .readRegisters(function: value.function, address: value.address, count: value.count),
            .rest)
        if value.type == .text { return RegisterType.text(registers) }
        return String(RegisterType.bits(registers, words: value.words, bytes: value.bytes))
    }
}
