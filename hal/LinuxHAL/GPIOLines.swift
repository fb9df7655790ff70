import Charging
import HAL
import Service

/// One output line in the board's words: active or not, whatever level that is.
package struct GPIOOutput: Sendable {
    let board: GPIOBoard
    let handle: GPIOBoard.LineHandle

    package func set(_ active: Bool) throws(DeviceError) {
        do throws(GPIOError) { try board.write(handle, active: active) } catch {
            throw .outputNotSet(error.description)
        }
    }

    package static func set(_ wanted: [(GPIOOutput, Bool)]) throws(DeviceError) {
        guard let board = wanted.first?.0.board else { return }
        do throws(GPIOError) { try board.write(wanted.map { ($0.0.handle, $0.1) }) } catch {
            throw .outputNotSet(error.description)
        }
    }
}

/// One input line in the board's words.
package struct GPIOInput: Sendable {
    let board: GPIOBoard
    let handle: GPIOBoard.LineHandle

    var key: GPIOBoard.Watches.Key { .init(request: handle.request, bit: handle.bit) }
    package var name: String { handle.wish.name }

    /// The line as it is now, with its pulses so far. What it guards opens if it is active.
    package func read() throws(DeviceError) -> LineWatch {
        do throws(GPIOError) {
            let watch = try board.read(handle)
            if watch.isActive { for contactor in guardedContactors { _ = contactor.fall() } }
            return watch
        } catch {
            throw error.asDeviceError
        }
    }

    package func measured<Value: Hashable & Sendable>(_ value: Value, askedAt: Int64)
        -> Measured<Value>
    {
        Measured(value, source: "line \(name)", askedAt: askedAt, at: board.clock.now)
    }

    /// Whether nothing forbids to close: inactive now, readable, and not under test.
    var isClear: Bool {
        if board.watches.withLock({ $0.tested[key, default: 0] > 0 }) { return false }
        do throws(GPIOError) { return try !board.read(handle).isActive } catch {
            return false  // Unreadable forbids like active.
        }
    }

    /// While a self-test plays with the line, nothing that it guards may close.
    func holdForTest(_ isHeld: Bool) {
        board.watches.withLock { $0.tested[key, default: 0] += isHeld ? 1 : -1 }
    }

    var guardedContactors: [GPIOContactor] {
        board.watches.withLock { $0.guarded[key] ?? [] }
    }
}

/// Counts what one reader has seen of a line that others read as well.
struct PulseReader: Sendable {
    private var seen: Int

    init(_ watch: LineWatch) { seen = watch.isActive ? watch.activations - 1 : watch.activations }

    /// True while the line is active, and once for a pulse that has passed meanwhile.
    mutating func isActive(_ watch: LineWatch) -> Bool {
        defer { seen = watch.activations }
        return watch.isActive || watch.activations > seen
    }

    mutating func forget(_ watch: LineWatch) { seen = watch.activations }

    /// What somebody else has accounted for is no news.
    mutating func skip(to activations: Int) { seen = max(seen, activations) }
}

/// The red button on a line.
package final class GPIOEmergencyStop: EmergencyStop {
    private let input: GPIOInput
    private let reader = Lock<PulseReader?>(nil)

    package init(_ input: GPIOInput) { self.input = input }

    package func isActive() async throws(DeviceError) -> Measured<Bool> {
        let askedAt = input.board.clock.monotonicMilliseconds
        let watch = try input.read()
        return input.measured(reader.isActive(watch), askedAt: askedAt)
    }
}

/// The contact of the enclosure's door on a line.
package final class GPIODoor: Door {
    private let input: GPIOInput
    private let reader = Lock<PulseReader?>(nil)

    package init(_ input: GPIOInput) { self.input = input }

    package func isOpen() async throws(DeviceError) -> Measured<Bool> {
        let askedAt = input.board.clock.monotonicMilliseconds
        let watch = try input.read()
        return input.measured(reader.isActive(watch), askedAt: askedAt)
    }
}

/// The contact of a monitor of the protective earth on a line.
package final class GPIOProtectiveEarth: ProtectiveEarth {
    private let input: GPIOInput
    private let reader = Lock<PulseReader?>(nil)

    package init(_ input: GPIOInput) { self.input = input }

    package func isLost() async throws(DeviceError) -> Measured<Bool> {
        let askedAt = input.board.clock.monotonicMilliseconds
        let watch = try input.read()
        return input.measured(reader.isActive(watch), askedAt: askedAt)
    }
}

extension Lock where State == PulseReader? {
    func isActive(_ watch: LineWatch) -> Bool {
        withLock { reader in
            var known = reader ?? PulseReader(watch)
            defer { reader = known }
            return known.isActive(watch)
        }
    }
}
