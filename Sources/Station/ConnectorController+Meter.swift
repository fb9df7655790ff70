import Charging
import HAL
import Service

/// Whether the meter is the one that the journal knows. An exchange while the agent runs is noticed by
/// the driver; one while the power was off by nobody else.
extension ConnectorController {
    /// A meter that did not say who it is is asked again after this.
    private static let asksMeterAgain: Int64 = 10_000

    private static let meterMemory = "memory of the meter"

    /// The journal's key of the serial number of the connector's meter.
    static func meterKey(of connector: ConnectorNumber) -> String { "meter.\(connector).serial" }

    /// Compares once a start, and ends.
    func compareMeter() async {
        repeat {
            // Why it does not answer is the readings' to tell.
            if let found = try? await devices.meter.identity(), await isCompared(found) { return }
        } while await pause(Self.asksMeterAgain)
    }

    /// Tells an exchange in the log and as a notice that stays until a person clears it. The new meter
    /// is measured by: whoever exchanged it may have been right to. False where the disk did not take it.
    private func isCompared(_ found: MeterIdentity) async -> Bool {
        // A meter that does not say its number is not told apart.
        guard let serial = found.serial, !serial.isEmpty else { return true }
        let key = Self.meterKey(of: number)
        do {
            let known = try await journal.settings()[key]
            guard known != serial else { return true }
            if let known, toldMeter != serial {
                log.warning(
                    "meter exchanged while the agent did not run",
                    ["connector": number, "serial": serial, "before": known])
                try await journal.leaveNotice(
                    "connector \(number): its meter says serial \(serial), before this start it was "
                        + "\(known); if nobody was to exchange it, its seals want to be looked at")
            }
            toldMeter = serial
            try await journal.set(key, to: serial)
            note(Self.meterMemory, nil)
            return true
        } catch {
            note(Self.meterMemory, error)
            return false
        }
    }
}
