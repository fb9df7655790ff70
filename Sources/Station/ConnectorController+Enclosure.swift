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
}
