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

    /// How often a meter that never failed is asked whether it is still the same one. After every
    /// silence it is asked at once: that is when meters are changed.
    package static let identityMilliseconds: Int64 = 3_600_000

    private struct Memory: Sendable {
        /// What the meter said of itself first, and when it was last compared; nil: compare now.
        var identity: MeterIdentity?
        var comparedAt: Int64?
        var plan: [ReadBlock]
        /// The meter refused the planned size once; from then on it is read in small pieces.
        var isSmall = false
        var sanity: MeterSanity
    }

    /// - `maximumWatts`: more than the connector can carry; bounds how fast the register may run.
    package init(
        name: String, profile: MeterProfile, bus: ModbusBus, unit: Int, maximumWatts: Int64
    ) {
        self.name = name
        self.profile = profile
        self.bus = bus
        self.unit = unit
        rules = DeviceRules(profile)
        memory = Lock(
            Memory(
                plan: profile.plan(),
                sanity: MeterSanity(
                    maximumWatts: maximumWatts, resolution: profile.energyResolution,
                    rollsOverAt: profile.rollsOverAt)))
    }

    package var signer: (any MeterSigner)? {
        profile.signing.map { ModbusSigner(profile: $0, bus: bus, unit: unit, rules: rules) }
    }

    package func readings() async throws(MeterError) -> MeterReadings {
        let askedAt = bus.clock.monotonicMilliseconds
        let at = bus.clock.now
        do throws(MeterError) {
            let readings = try profile.decode(
                try await image(), name: name, askedAt: askedAt, at: at)
            try await compareIdentity(askedAt)
            return try memory.withLock { (memory) throws(MeterError) in
                try memory.sanity.check(readings)
            }
        } catch {
            if error.mayHideAnExchange { memory.withLock { $0.comparedAt = nil } }
            throw error
        }
    }

    // MARK: Registers

    /// One cycle of the plan; a size the meter refuses is given up for good.
    private func image() async throws(MeterError) -> RegisterImage {
        do throws(MeterError) {
            return try await image(memory.withLock { $0.plan })
        } catch {
            guard error.isRefusedRead, !memory.withLock({ $0.isSmall }) else { throw error }
            let small = profile.cautiousPlan()
            memory.withLock {
                $0.plan = small
                $0.isSmall = true
            }
            return try await image(small)
        }
    }

    private func image(_ plan: [ReadBlock]) async throws(MeterError) -> RegisterImage {
        let isSmall = memory.withLock { $0.isSmall }
        var image = RegisterImage()
        var left = plan[...]
        while let block = left.popFirst() {
            let request = ModbusRequest.readRegisters(
                function: block.function, address: block.address, count: block.count)
            let isBilled = block.quantities.contains(.energyImport)
            do throws(MeterError) {
                let registers = try await ask(request, isBilled ? .energy : .rest)
                image.store(registers, function: block.function, address: block.address)
            } catch {
                // A model without some of these registers; its import register counts all the same.
                guard isSmall, !isBilled, error.isRefusedRead else { throw error }
                left = giveUp(block)[...] + left
            }
        }
        return image
    }

    /// Never asks for the block again, but for each of its values; for a single one not at all.
    private func giveUp(_ block: ReadBlock) -> [ReadBlock] {
        let pieces = block.quantities.count > 1 ? profile.pieces(of: block) : []
        memory.withLock { memory in
            guard let index = memory.plan.firstIndex(of: block) else { return }
            memory.plan.replaceSubrange(index...index, with: pieces)
        }
        return pieces
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

    // MARK: Who it is

    /// Notices that somebody changed the meter: then its register means nothing to a running charge.
    private func compareIdentity(_ now: Int64) async throws(MeterError) {
        let last = memory.withLock { $0.comparedAt }
        if let last, now - last < Self.identityMilliseconds { return }
        for rule in profile.probe where rule.isName {
            let registers = try await ask(rule.value.request, .rest)
            guard rule.matches(registers) else {
                throw .wrongDevice(
                    expected: profile.title, found: "a device that answers \(registers)")
            }
        }
        let found = try await identity()
        let known = memory.withLock { $0.identity }
        if let known, let difference = known.difference(from: found) {
            throw .wrongDevice(expected: difference.0, found: difference.1)
        }
        memory.withLock {
            $0.identity = known ?? found
            $0.comparedAt = now
        }
    }

    package func identity() async throws(MeterError) -> MeterIdentity {
        var identity = MeterIdentity()
        identity.model = try await text(of: profile.model)
        identity.serial = try await text(of: profile.serial)
        identity.firmware = try await text(of: profile.firmware)
        return identity
    }

    /// nil where the profile has no such register, and where this model of the family has none.
    private func text(of value: MeterProfile.Value?) async throws(MeterError) -> String? {
        guard let value else { return nil }
        do throws(MeterError) {
            return value.text(try await ask(value.request, .rest))
        } catch {
            guard case .refused = error else { throw error }
            return nil
        }
    }
}

extension MeterError {
    /// "No such register" or "no such count": another way of asking may help.
    fileprivate var isRefusedRead: Bool { self == .refused(code: 2) || self == .refused(code: 3) }

    /// The meter was away long enough to be another one now.
    fileprivate var mayHideAnExchange: Bool {
        switch self {
        case .noAnswer, .busDown, .wrongAnswer, .resting, .wrongDevice, .ranBackwards,
            .unitJumped:
            true
        case .refused, .notAvailable, .implausible, .busBusy, .notSigned: false
        }
    }
}

extension MeterIdentity {
    /// The first thing in which two meters differ, as each says it. Firmware may be renewed; a meter
    /// that once said its name and does not now is not told apart.
    fileprivate func difference(from other: MeterIdentity) -> (String, String)? {
        if let serial, let found = other.serial, serial != found {
            return ("serial \(serial)", "serial \(found)")
        }
        if let model, let found = other.model, model != found {
            return ("model \(model)", "model \(found)")
        }
        return nil
    }
}

extension DeviceRules {
    package init(_ profile: MeterProfile) {
        self.init(
            timeoutMilliseconds: profile.timeoutMilliseconds,
            gapMilliseconds: profile.gapMilliseconds,
            quarantineMilliseconds: profile.quarantineMilliseconds)
    }
}

extension MeterProfile.Value {
    /// The read that fetches it.
    var request: ModbusRequest {
        .readRegisters(function: function, address: address, count: count)
    }

    /// What its registers say, for people and for comparing.
    func text(_ registers: [UInt16]) -> String {
        type == .text
            ? RegisterType.text(registers)
            : String(RegisterType.bits(registers, words: words, bytes: bytes))
    }
}
