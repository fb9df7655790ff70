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

    /// As often as the mirror: where it is a line, its edge opens without us.
    func pollProtectiveEarth() async {
        guard let device = devices.protectiveEarth else { return }
        repeat {
            let began = clock.monotonicMilliseconds
            do throws(DeviceError) {
                let isLost = try await device.isLost()
                // One from before is told for a lost answer: nothing new can be learnt from it, and the
                // last good one goes on ageing.
                guard isLost.askedAt >= began || isLost.value else { continue }
                note("protectiveEarth", nil)
                take(.protectiveEarth(isLost: isLost.value), askedAt: isLost.askedAt)
            } catch {
                note("protectiveEarth", error)
                // What nobody can tell of counts as lost.
                take(.protectiveEarth(isLost: true))
            }
        } while await pause(polls.mirror)
    }
}
