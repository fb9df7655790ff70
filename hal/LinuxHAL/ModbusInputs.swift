import Charging
import HAL
import Service

/// The last good reading of an input whose line may lose a frame now and then: told with its own age
/// instead of one failure, until it is too old.
final class LastReading<Value: Hashable & Sendable>: Sendable {
    private let staleMilliseconds: Int64
    private let last = Lock<Measured<Value>?>(nil)

    init(staleMilliseconds: Int64) { self.staleMilliseconds = staleMilliseconds }

    func keep(_ reading: Measured<Value>) -> Measured<Value> {
        last.withLock { $0 = reading }
        return reading
    }

    func instead(
        of error: DeviceError, at monotonicMilliseconds: Int64
    ) throws(DeviceError) -> Measured<Value> {
        // An answer that cannot be believed is no lost frame.
        guard !error.isDisbelief, let last = last.withLock({ $0 }),
            last.age(at: monotonicMilliseconds) <= staleMilliseconds
        else { throw error }
        return last
    }
}

/// A temperature in a register.
package final class ModbusTemperatureSensor: TemperatureSensor {
    private let name: String
    private let bus: ModbusBus
    private let unit: Int
    private let address: Int
    private let profile: ModbusTemperatureProfile
    private let rules: DeviceRules
    private let sanity: Lock<TemperatureSanity>
    private let last = LastReading<Int>(staleMilliseconds: staleMilliseconds)

    /// An older reading tells nothing: two polls of 5 s may be lost.
    package static let staleMilliseconds: Int64 = 12_000

    /// - `connector`: 1 is the board's first.
    package init(
        bus: ModbusBus, unit: Int, profile: ModbusTemperatureProfile, stuckMinutes: Int,
        connector: Int
    ) {
        name = "temperature \(bus.name)/\(unit)"
        self.bus = bus
        self.unit = unit
        self.profile = profile
        address = profile.register + (connector - 1) * profile.registerStep
        rules = DeviceRules(
            timeoutMilliseconds: profile.timeoutMilliseconds,
            gapMilliseconds: profile.gapMilliseconds)
        sanity = Lock(TemperatureSanity(stuckMinutes: stuckMinutes))
    }

    package func tenthsOfDegree() async throws(DeviceError) -> Measured<Int> {
        let askedAt = bus.clock.monotonicMilliseconds
        let at = bus.clock.now
        do throws(DeviceError) {
            let thousandths = try profile.thousandths(try await registers())
            let tenths = try sanity.withLock { sanity throws(DeviceError) in
                try sanity.tenths(thousandths: thousandths, at: askedAt)
            }
            return last.keep(Measured(tenths, source: name, askedAt: askedAt, at: at))
        } catch {
            return try last.instead(of: error, at: bus.clock.monotonicMilliseconds)
        }
    }

    private func registers() async throws(DeviceError) -> [UInt16] {
        do throws(BusError) {
            return try await bus.call(
                unit: unit,
                .readRegisters(
                    function: profile.function, address: address, count: profile.type.registers),
                rules: rules, priority: .energy)
        } catch {
            throw error.asDeviceError
        }
    }
}

/// A monitor of the protective earth at a digital input.
package final class ModbusProtectiveEarth: ProtectiveEarth {
    private let name: String
    private let bus: ModbusBus
    private let unit: Int
    private let input: Int
    private let profile: ModbusInputProfile
    private let rules: DeviceRules
    private let last = LastReading<Bool>(staleMilliseconds: staleMilliseconds)

    /// An older reading tells nothing: one lost frame with its quarantine is bridged, no more.
    package static let staleMilliseconds: Int64 = 1_000

    package init(bus: ModbusBus, unit: Int, input: Int, profile: ModbusInputProfile) {
        name = "protective earth \(bus.name)/\(unit) input \(input)"
        self.bus = bus
        self.unit = unit
        self.input = input
        self.profile = profile
        rules = DeviceRules(
            timeoutMilliseconds: profile.timeoutMilliseconds,
            gapMilliseconds: profile.gapMilliseconds)
    }

    package func isLost() async throws(DeviceError) -> Measured<Bool> {
        let askedAt = bus.clock.monotonicMilliseconds
        let at = bus.clock.now
        do throws(BusError) {
            let bits = try await bus.call(
                unit: unit, .readBits(function: profile.function, address: input, count: 1),
                rules: rules, priority: .state)
            let isClosed = bits.first == 1
            return last.keep(
                Measured(
                    isClosed != profile.isClosedGood, source: name, askedAt: askedAt, at: at))
        } catch {
            return try last.instead(
                of: error.asDeviceError, at: bus.clock.monotonicMilliseconds)
        }
    }
}
