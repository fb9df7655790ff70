import Charging
import HAL
import Service

/// A board with a car in the process: the car answers the pilot, the meter counts while the relay
/// is closed, and a test breaks what it likes.
final class TestBoard: Contactor, Pilot, EnergyMeter, EmergencyStop, ResidualCurrentDevice,
    TemperatureSensor, ConnectorLock, Indicator
{
    struct State {
        var isPlugged = false
        var wantsEnergy = true
        var signal = PilotSignal.x1
        var mostOffered = Amperes.zero
        var isClosed = false
        var register: Int64 = 5_000
        /// Added with each reading while the relay is closed.
        var perReading: Int64 = 3
        var isMeterDead = false
        var isStopPressed = false
        var signer: (any MeterSigner)?
        var isOutputLost = false
        /// Answers of the pilot are lost, and the last state is told again.
        var isPilotLost = false
        var isLocked = false
        /// The bolt does not come out, whatever it is told.
        var isBoltStuck = false
        /// The plug was let go while the relay was closed.
        var wasUnlockedHot = false
        /// How long ago meter, temperature and contactor were asked what they answer now.
        var askedAgo: Int64 = 0
        var tenthsOfDegree = 250
        /// What the board was told, in order.
        var contactor: [Bool] = []
        var indications: [Indication] = []
        var serial: String?
    }

    let state = Lock(State())
    let clock: any ServiceClock = .system
    let name = "test"
    let deadMan = DeadMan(.simulated, opensWithinMilliseconds: 1000, renewMilliseconds: 300)

    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

    var relayIsClosed: Bool { state.withLock { $0.isClosed } }
    var register: Int64 { state.withLock { $0.register } }

    /// What the car draws: what it is offered, up to 16 A.
    var drawn: Amperes {
        state.withLock { state in
            guard state.isClosed, case .pwm(let offered) = state.signal else { return .zero }
            return min(Amperes(16), offered)
        }
    }

    private func measured<Value>(_ value: Value) -> Measured<Value> {
        Measured(value, source: "test", askedAt: clock.monotonicMilliseconds, at: clock.now)
    }

    private func late<Value>(_ value: Value) -> Measured<Value> {
        var reading = measured(value)
        reading.askedAt -= state.withLock { $0.askedAgo }
        return reading
    }

    func tenthsOfDegree() async throws(DeviceError) -> Measured<Int> {
        late(state.withLock { $0.tenthsOfDegree })
    }

    func set(closed: Bool) {
        state.withLock {
            if $0.contactor.last != closed { $0.contactor.append(closed) }
            $0.isClosed = closed
        }
    }

    func state() async throws(DeviceError) -> Measured<MirrorState> {
        if state.withLock({ $0.isOutputLost }) { throw .outputNotSet("test") }
        return late(relayIsClosed ? .closed : .open)
    }

    func set(_ signal: PilotSignal) {
        state.withLock {
            $0.signal = signal
            if case .pwm(let amperes) = signal { $0.mostOffered = max($0.mostOffered, amperes) }
        }
    }

    func reading() async throws(DeviceError) -> Measured<PilotReading> {
        let state = state.withLock { $0 }
        var offered = Amperes.zero
        var pilot = state.isPlugged ? PilotState.b : .a
        if case .pwm(let amperes) = state.signal {
            offered = amperes
            if state.isPlugged, state.wantsEnergy { pilot = .c }
        }
        return measured(
            PilotReading(
                state: pilot, diode: .passed, offered: offered,
                repeatedFor: state.isPilotLost ? .noAnswer : nil))
    }

    func readings() async throws(MeterError) -> MeterReadings {
        let asked = clock.monotonicMilliseconds
        let state = state.withLock { state in
            if state.isClosed { state.register += state.perReading }
            return state
        }
        if state.isMeterDead { throw .noAnswer }
        return MeterReadings(
            energy: WattHours(state.register),
            currents: [drawn],
            power: Watts(state.isClosed ? 3_680 : 0), source: "test",
            askedAt: asked - state.askedAgo,
            at: clock.now)
    }

    var signer: (any MeterSigner)? { state.withLock { $0.signer } }
    func identity() async throws(MeterError) -> MeterIdentity {
        MeterIdentity(serial: state.withLock { $0.serial })
    }
    func set(locked: Bool) {
        state.withLock {
            guard locked || !$0.isBoltStuck else { return }
            $0.isLocked = locked
            if !locked, $0.isClosed { $0.wasUnlockedHot = true }
        }
    }
    func show(_ indication: Indication) { state.withLock { $0.indications.append(indication) } }
    func isLocked() async throws(DeviceError) -> Measured<Bool> {
        measured(state.withLock { $0.isLocked })
    }
    func isActive() async throws(DeviceError) -> Measured<Bool> {
        measured(state.withLock { $0.isStopPressed })
    }
    func state() async throws(DeviceError) -> Measured<ResidualCurrentState> {
        measured(.healthy)
    }
    func selfTest() async throws(DeviceError) -> SelfTestOutcome { .passed }
}
