import Charging

/// Contactor, pilot, meter and socket of one charging place, as physics: a value that is moved
/// forward in time and asked.
package struct SimulatedEVSE: Hashable, Sendable {
    /// Times are monotonic nanoseconds.
    package struct Contactor: Hashable, Sendable {
        /// A pulse ends by itself; `.max` is a latched "on"; 0 is off.
        fileprivate(set) var coilUntil: Int64 = 0
        package fileprivate(set) var isClosed = false
        package fileprivate(set) var closings = 0
        package fileprivate(set) var closedAt: Int64?
        package fileprivate(set) var openedAt: Int64?
        /// Openings while current flowed: wear.
        package fileprivate(set) var hotOpenings = 0
        package var isWelded = false
        package var isStuck = false
        /// From the coil to the contacts.
        var delay: Int64 = 15_000_000
        fileprivate var coilChangedAt: Int64 = 0
        fileprivate var coilWas = false
    }

    package struct Departed: Hashable, Sendable {
        /// By its own count.
        package var microWattHours: Int64
        /// How far its own count moves a whole watt-hour register that stood where the meter's did
        /// when it came.
        package var wattHours: Int64
    }

    package let name: String
    package let phases: Int
    package var millivolts: Int64
    package var contactor = Contactor()
    /// What the pilot controller offers; 0 is X1.
    package private(set) var offered: Int64 = 0
    package private(set) var car: SimulatedCar?
    /// What the car before this one took away.
    package private(set) var lastCar: Departed?
    private var meterAtPlugIn: Int64 = 0
    package private(set) var meter: EnergyIntegral
    /// Per phase, as the meter sees it.
    package private(set) var milliamperes: Int64 = 0
    /// The phases, from 0, that the car draws on; nil: all it has. For the proof of a wiring.
    package var loaded: Set<Int>?
    /// The registers stand still while the energy runs on.
    package var frozenRegister: Int64?
    package private(set) var now: Int64

    /// The stride of the physics while anything can happen.
    static let stride: Int64 = 5_000_000

    package init(
        name: String, phases: Int, millivolts: Int64 = 230_000, startWattHours: Int64,
        at now: Int64
    ) {
        self.name = name
        self.phases = phases
        self.millivolts = millivolts
        meter = EnergyIntegral(microWattHours: startWattHours * 1_000_000)
        self.now = now
    }

    /// Lets time pass. The end of a pulse and the contacts' delay fall on their very nanosecond.
    package mutating func advance(to later: Int64) {
        while now < later {
            if car == nil, !contactor.isClosed, contactor.coilUntil <= now,
                contactor.coilWas == false
            {
                now = later
                return
            }
            var next = min(later, now + Self.stride)
            for edge in [contactor.coilUntil, contactor.coilChangedAt + contactor.delay]
            where edge > now && edge < next { next = edge }
            moveContacts()
            draw(nanoseconds: next - now)
            now = next
        }
        moveContacts()
    }

    private mutating func moveContacts() {
        let coil = contactor.coilUntil > now
        if coil != contactor.coilWas {
            contactor.coilWas = coil
            contactor.coilChangedAt = now
        }
        guard coil != contactor.isClosed, now >= contactor.coilChangedAt + contactor.delay else {
            return
        }
        if coil, contactor.isStuck { return }
        if !coil, contactor.isWelded { return }
        contactor.isClosed = coil
        if coil {
            contactor.closings += 1
            contactor.closedAt = now
        } else {
            contactor.openedAt = now
            if milliamperes > 0 { contactor.hotOpenings += 1 }
        }
    }

    private mutating func draw(nanoseconds: Int64) {
        guard car != nil else {
            milliamperes = 0
            return
        }
        let phases = usedPhases.count
        milliamperes =
            car?.step(
                offered: offered, isPowered: contactor.isClosed, millivolts: millivolts,
                phases: phases, at: now, nanoseconds: nanoseconds) ?? 0
        meter.add(milliwatts: milliwatts, nanoseconds: nanoseconds)
    }

    /// What flows through the meter.
    package var milliwatts: Int64 {
        millivolts * milliamperes * Int64(usedPhases.count) / 1000
    }

    /// The phases that carry current while the car draws.
    package var usedPhases: Set<Int> {
        let own = Set(0..<min(phases, car?.model.phases ?? 0))
        return loaded.map(own.intersection) ?? own
    }

    /// The import register in whole watt-hours, as the meter shows it.
    package var registerWattHours: Int64 { frozenRegister ?? meter.microWattHours / 1_000_000 }

    package var pilot: SimulatedCar.PilotLetter { car?.pilot ?? .a }

    // MARK: What others do to it. The caller advances first.

    /// Energises the coil: for a while, for good (nil), or drops it (0).
    package mutating func energise(forNanoseconds span: Int64?) {
        contactor.coilUntil = span.map { $0 == 0 ? 0 : now + $0 } ?? .max
        moveContacts()
    }

    package var isCoilOn: Bool { contactor.coilUntil > now }

    package mutating func offer(milliamperes: Int64) { offered = milliamperes }

    package mutating func plugIn(_ model: SimulatedCar.Model) {
        var model = model
        model.phases = min(model.phases, phases)
        car = SimulatedCar(model, at: now)
        meterAtPlugIn = meter.microWattHours
    }

    /// See `Departed.wattHours`; 0 without a car.
    package var wattHoursOfCar: Int64 {
        guard let car else { return 0 }
        return (meterAtPlugIn + car.taken.microWattHours) / 1_000_000 - meterAtPlugIn / 1_000_000
    }

    package mutating func unplug() {
        if let car {
            lastCar = Departed(
                microWattHours: car.taken.microWattHours, wattHours: wattHoursOfCar)
        }
        car = nil
        milliamperes = 0
    }

    package mutating func setCurve(_ curve: ChargingCurve) { car?.model.curve = curve }

    package mutating func freeze(_ frozen: Bool) {
        frozenRegister = frozen ? meter.microWattHours / 1_000_000 : nil
    }
}
