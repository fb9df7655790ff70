import HAL
import Service

extension ConnectorController {
    func pollDoor() async {
        guard let device = devices.door else { return }
        repeat {
            do throws(DeviceError) {
                let isOpen = try await device.isOpen()
                note("door", nil)
                take(.door(isOpen: isOpen.value), askedAt: isOpen.askedAt)
            } catch {
                note("door", error)
                // A contact nobody can read guards nothing.
                take(.door(isOpen: true))
            }
        } while await pause(polls.safety)
    }

    /// Trips the residual current device on purpose, at the start and after each charge.
    ///
    /// The gate is shut before the test begins and opens again by the first healthy reading.
    func runSelfTests() async {
        guard let device = devices.residualCurrent else { return }
        var isDue = true
        while !Task.isCancelled {
            if machine.isContactorClosed { isDue = true }
            // At the start, and when a charge has ended; not in a pause within one.
            if isDue, !machine.isContactorClosed, machine.transaction == nil {
                take(.residualCurrent(.notTested))
                do throws(DeviceError) {
                    try await device.selfTest()
                    note("residualCurrentTest", nil)
                    isDue = false
                } catch {
                    note("residualCurrentTest", error)
                    guard await pause(ConnectorTimings.selfTestRetries) else { return }
                }
            }
            guard await pause(polls.safety) else { return }
        }
    }
}
