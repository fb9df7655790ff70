import Charging

// Inputs are read with `async` calls that may fail; outputs are *set* by synchronous calls that
// return at once, so that opening never waits for a bus, a queue or an answer. Whether an output
// took effect comes back through the reading of the same device.

/// Switches the car's power.
package protocol Contactor: Sendable {
    var name: String { get }
    /// What opens the contactor when this program no longer runs.
    var deadMan: DeadMan { get }

    /// Wants the contactor closed or open, from now on. Returns at once.
    ///
    /// Opening overtakes everything else that waits for the same device or bus. Closing is a level
    /// that falls by itself: repeat `set(closed: true)` at least every
    /// `deadMan.renewMilliseconds`, or the contactor opens.
    func set(closed: Bool)

    /// What the contactor is really doing. `.unknown` where the board has no feedback.
    func state() async throws(DeviceError) -> Measured<MirrorState>
}

/// The control pilot. IEC 61851-1 Annex A.
package protocol Pilot: Sendable {
    var name: String { get }
    /// Puts a signal on the line from now on. Returns at once. The driver may round a current down
    /// to what its hardware can say, never up.
    func set(_ signal: PilotSignal)
    func reading() async throws(DeviceError) -> Measured<PilotReading>
}

/// The cable's rating as its proximity resistor tells it. IEC 61851-1 Annex B.
package protocol Proximity: Sendable {
    /// nil while no plug is in the socket.
    func rating() async throws(DeviceError) -> Measured<Amperes?>
}

/// Holds the plug in the socket.
package protocol ConnectorLock: Sendable {
    /// Returns at once; `isLocked` tells when it is done.
    func set(locked: Bool)
    func isLocked() async throws(DeviceError) -> Measured<Bool>
}

/// RCD with its 6 mA d.c. sensor. It opens the contactor without us; we only learn of it.
package protocol ResidualCurrentDevice: Sendable {
    func state() async throws(DeviceError) -> Measured<ResidualCurrentState>
    /// Trips the sensor on purpose and watches it come back. Only with the contactor open.
    ///
    /// - Throws: `.selfTestFailed` where the sensor did not do its part; anything else means that it
    ///   could not be asked.
    func selfTest() async throws(DeviceError) -> SelfTestOutcome
}

/// The red button. Like the RCD it acts in hardware; we learn of it and stay off.
package protocol EmergencyStop: Sendable {
    func isActive() async throws(DeviceError) -> Measured<Bool>
}

/// The enclosure's door.
package protocol Door: Sendable {
    func isOpen() async throws(DeviceError) -> Measured<Bool>
}

/// A monitor of the protective earth.
package protocol ProtectiveEarth: Sendable {
    func isLost() async throws(DeviceError) -> Measured<Bool>
}

package protocol TemperatureSensor: Sendable {
    /// Degrees Celsius in tenths, rounded up.
    func tenthsOfDegree() async throws(DeviceError) -> Measured<Int>
}

/// An RFID reader or anything else that hands over a driver's token.
package protocol TokenReader: Sendable {
    /// Every token shown, upper-case hex of its UID, as it is shown. One reader of the stream; a
    /// slow one loses all but the last few.
    var tokens: AsyncStream<String> { get }
}

/// The light or display beside a connector.
package protocol Indicator: Sendable {
    /// Returns at once.
    func show(_ indication: Indication)
}

/// What the car tells by loading the control pilot. IEC 61851-1 Annex A.
package enum PilotState: String, Hashable, Sendable, CaseIterable {
    /// Nothing connected.
    case a = "A"
    /// Connected, not ready.
    case b = "B"
    /// Ready, no ventilation needed.
    case c = "C"
    /// Ready, ventilation needed.
    case d = "D"
    /// Pilot shorted, or the supply dead.
    case e = "E"
    /// Not available, or a level no state has.
    case f = "F"
}

/// What the board puts on the control pilot.
package enum PilotSignal: Hashable, Sendable {
    /// Steady +12 V: no energy offered.
    case x1
    /// A square wave offering this current; the driver turns it into the duty.
    case pwm(Amperes)
    /// Steady −12 V: not available.
    case f
}

package enum DiodeCheck: String, Hashable, Sendable { case unknown, passed, failed }

package struct PilotReading: Hashable, Sendable {
    package var state: PilotState
    /// `.unknown` where a controller makes the check itself and shows a failure as E or F.
    package var diode: DiodeCheck
    /// What the hardware says it offers; zero on X1, E and F.
    package var offered: Amperes
    /// Why no answer came this time: then this is the last good one, told for as long as the driver
    /// bridges. Nothing new can be learnt from it.
    package var repeatedFor: DeviceError?

    package init(
        state: PilotState, diode: DiodeCheck = .unknown, offered: Amperes,
        repeatedFor: DeviceError? = nil
    ) {
        self.state = state
        self.diode = diode
        self.offered = offered
        self.repeatedFor = repeatedFor
    }
}

/// What the contactor's mirror contact says; `.unknown` when there is none.
package enum MirrorState: String, Hashable, Sendable { case open, closed, unknown }

package enum ResidualCurrentState: String, Hashable, Sendable {
    case healthy, tripped
    /// The d.c. part alone, where the board tells the two apart. IEC 62955.
    case directTripped
    /// The self-test has not passed.
    case notTested

    package var isTripped: Bool { self == .tripped || self == .directTripped }
}

/// What became of a self-test that did not fail.
package enum SelfTestOutcome: Hashable, Sendable {
    case passed
    /// Nothing was tried, so nothing is known: another outlet uses the same sensor.
    case notRun(String)
}

/// What a connector's light or display shows.
package enum Indication: String, Hashable, Sendable, CaseIterable {
    case available, preparing, charging, suspended, finishing, unavailable, faulted, refused
}

/// Why an input could not be read, or an output does not take effect.
package enum DeviceError: Error, Hashable, Sendable {
    /// Nothing came back in time.
    case noAnswer
    /// The way to the device is gone: unplugged adapter, refused connection.
    case busDown(String)
    /// The device refused, with its Modbus exception code.
    case refused(code: Int)
    /// The line spoilt the answer: check sum, length or sender are wrong. The next may be whole.
    case damaged(String)
    /// The device said what cannot be believed.
    case wrongAnswer(String)
    /// Failed often and is left alone for a while. Outputs that open are sent all the same.
    case resting(milliseconds: Int64)
    case busBusy
    /// The last thing that was set did not reach the device.
    case outputNotSet(String)
    case selfTestFailed(String)
    /// A closing was not renewed in time, or a safety input opened it: it has fallen, or may have. It
    /// does not close again before it was opened.
    case lapsed
}

extension DeviceError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noAnswer: "the device does not answer"
        case .busDown(let why): "the device's bus is down: \(why)"
        case .refused(let code): "the device refuses with exception \(code)"
        case .damaged(let what): "the answer came damaged: \(what)"
        case .wrongAnswer(let what): "the device's answer cannot be: \(what)"
        case .resting(let left): "the device failed repeatedly and rests for \(left) ms"
        case .busBusy: "too much waits for the device's bus"
        case .outputNotSet(let why): "the output could not be set: \(why)"
        case .selfTestFailed(let why): "the self-test failed: \(why)"
        case .lapsed: "the closing fell: not renewed in time, or opened by a safety input"
        }
    }
}
