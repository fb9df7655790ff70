import Charging
import HAL
import Service

/// A contactor behind a coil of a relay card on Modbus.
///
/// With a card that knows timed pulses every `set(closed: true)` arms the coil for
/// `pulseMilliseconds` only. Nothing in here renews it: when the agent hangs, the relay falls.
package final class ModbusContactor: Contactor {
    package let name: String
    package let deadMan: DeadMan
    private let bus: ModbusBus
    /// Where its readings come from.
    private let source: String
    private let unit: Int
    private let coil: Int
    private let profile: RelayProfile
    /// True for a mirror contact proper, which is closed while the main contacts are open: a broken
    /// wire then reads as a weld, not as open.
    private let isMirrorInverse: Bool
    private let rules: DeviceRules
    private let wish = Lock(Wish())

    /// An opening that failed is sent again this often; by then every dead-man has fallen.
    package static let openingTries = 20
    /// An opening is ordered again this often for as long as the feedback says closed.
    package static let repeatMilliseconds: Int64 = 1_000

    private struct Wish: Sendable {
        var isClosed = false
        /// Counts the changes, so that an answer to an older wish is not taken for the present one.
        var number = 0
        var failure: String?
        /// When the closing that is under way was sent.
        var sentAt: Int64?
        /// Until when the last closing that reached the card holds for certain; nil before one did.
        var holdsUntil: Int64?
        /// The closing fell, or may have, before it was renewed. Nothing renews it any more: that
        /// would be a closing which no gate has allowed.
        var hasLapsed = false
        /// When an opening was last ordered, by the bus's clock.
        var openedAt = Int64.min / 2
    }

    /// How long a closing that reached the card holds for certain, a tenth left for the card's own
    /// clock; nil where it holds without end, and a failed renewal says only that the card is gone.
    private var holdMilliseconds: Int64? {
        if profile.pulseAddressOffset != nil { return Int64(profile.pulseMilliseconds) * 9 / 10 }
        return deadMan.kind == .none ? nil : Int64(deadMan.opensWithinMilliseconds) * 9 / 10
    }

    package init(
        name: String, deadMan: DeadMan, bus: ModbusBus, unit: Int, coil: Int, profile: RelayProfile,
        feedback: BoardCapabilities.Feedback
    ) {
        self.name = name
        self.deadMan = deadMan
        self.bus = bus
        source = "\(name) \(bus.name)/\(unit)"
        self.unit = unit
        self.coil = coil
        self.profile = profile
        isMirrorInverse = feedback == .normallyClosed
        rules = DeviceRules(
            timeoutMilliseconds: profile.timeoutMilliseconds,
            gapMilliseconds: profile.gapMilliseconds)
    }

    package func set(closed: Bool) {
        let number = wish.withLock { wish in
            if wish.isClosed != closed {
                wish.number += 1
                wish.sentAt = nil
                wish.holdsUntil = nil
                wish.hasLapsed = false
            }
            wish.isClosed = closed
            return wish.number
        }
        if closed { close(number) } else { open(number, tries: Self.openingTries) }
    }

    private func close(_ number: Int) {
        let request: ModbusRequest =
            if let offset = profile.pulseAddressOffset {
                .writeCoil(
                    address: coil + offset, value: UInt16(clamping: profile.pulseMilliseconds / 100)
                )
            } else {
                .writeCoil(address: coil, value: 0xFF00)
            }
        // A living controller has renewed it by then; one that hangs, or a process that was stopped
        // and goes on, must not close by what still lies in the queue.
        let expires = BusQueue.now + Int64(2 * max(1, deadMan.renewMilliseconds))
        bus.post(
            unit: unit, rules: rules, priority: .control, key: key,
            // Asked again at the moment of sending: an opening may have overtaken this closing.
            prepare: { [wish] in
                let now = BusQueue.now
                guard now < expires else { return nil }
                return wish.withLock { wish in
                    guard wish.isClosed, wish.number == number else { return nil }
                    if let held = wish.holdsUntil, now >= held { wish.hasLapsed = true }
                    guard !wish.hasLapsed else { return nil }
                    wish.sentAt = now
                    return request
                }
            }
        ) { [wish, holdMilliseconds] result in
            if case .failure(.superseded) = result { return }
            wish.withLock { wish in
                guard wish.number == number else { return }
                if let trouble = result.trouble {
                    wish.failure = trouble
                } else if let sentAt = wish.sentAt {
                    wish.failure = nil
                    // The relay may have fallen on the way, and this renewal closed it again.
                    if let held = wish.holdsUntil, BusQueue.now >= held { wish.hasLapsed = true }
                    wish.holdsUntil = holdMilliseconds.map { sentAt + $0 }
                }
                wish.sentAt = nil
            }
        }
    }

    private func open(_ number: Int, tries: Int) {
        let now = bus.clock.monotonicMilliseconds
        wish.withLock { $0.openedAt = now }
        bus.post(
            unit: unit, rules: rules, priority: .opening, key: key,
            prepare: { [self] in
                wish.withLock { $0.isClosed } ? nil : .writeCoil(address: coil, value: 0)
            }
        ) { [self] result in
            if case .failure(.superseded) = result { return }
            let again = wish.withLock { wish in
                guard wish.number == number else { return false }
                wish.failure = result.trouble
                return wish.failure != nil
            }
            switch result {
            // Nobody is there to hear it now; `state()` says it again once the line is back.
            case .failure(.closed), .failure(.down): return
            default: if again, tries > 1 { open(number, tries: tries - 1) }
            }
        }
    }

    private var key: String { "contactor \(unit)/\(coil)" }

    package func state() async throws(DeviceError) -> Measured<MirrorState> {
        let askedAt = bus.clock.monotonicMilliseconds
        let at = bus.clock.now
        let wanted = wish.withLock { wish in
            if wish.isClosed, let held = wish.holdsUntil, BusQueue.now >= held {
                wish.hasLapsed = true
            }
            return wish
        }
        if wanted.isClosed, wanted.hasLapsed { throw .lapsed }
        // One renewal that failed is no failure yet: the closing before it still holds.
        if let failure = wanted.failure, !(wanted.isClosed && wanted.holdsUntil != nil) {
            if !wanted.isClosed { open(wanted.number, tries: 1) }
            throw .outputNotSet(failure)
        }
        let request: ModbusRequest
        switch profile.feedback {
        case .none:
            return Measured(.unknown, source: name, askedAt: askedAt, at: at)
        case .coil: request = .readBits(function: 1, address: coil, count: 1)
        case .input(let offset):
            request = .readBits(function: 2, address: coil + offset, count: 1)
        }
        do throws(BusError) {
            let bits = try await bus.call(
                unit: unit, request, rules: rules, priority: .state)
            let isClosed = (bits.first == 1) != isMirrorInverse
            if isClosed { repeatOpening() }
            return Measured(
                isClosed ? .closed : .open, source: source,
                askedAt: askedAt, at: at)
        } catch {
            throw error.asDeviceError
        }
    }

    /// Orders the opening once more: a weld may break loose, somebody else may have set the coil.
    private func repeatOpening() {
        let now = bus.clock.monotonicMilliseconds
        let number: Int? = wish.withLock { wish in
            guard !wish.isClosed, now - wish.openedAt >= Self.repeatMilliseconds else { return nil }
            return wish.number
        }
        if let number { open(number, tries: 1) }
    }
}

extension Result where Success == [UInt16], Failure == BusError {
    /// Why an output did not reach its device; nil when it did.
    fileprivate var trouble: String? {
        switch self {
        case .success: nil
        case .failure(let error): error.asDeviceError.description
        }
    }
}
