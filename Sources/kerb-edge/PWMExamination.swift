import Glibc
import LinuxHAL
import Service
import Station

/// Whether the agent, as its own user and under its own unit, may write the PWM that makes the pilot.
/// Who runs the doctor may be root and outside that unit: it asks systemd and looks at the files' group.
struct PWMExamination {
    /// Of the chip's folder, `/sys/class/pwm/pwmchipN`.
    static func findings(_ chip: String) -> [Finding] {
        guard let found = realpath(chip, nil) else { return [] }
        defer { free(found) }
        let path = String(cString: found)
        return [files(path), unit(path)].compactMap { $0 }
    }

    /// The chip's own files; udev/70-kerb-edge.rules gives them to the group.
    private static func files(_ path: String) -> Finding? {
        let topic = "PWM rights"
        do throws(FileError) {
            let mode = try FileSystem.mode(of: "\(path)/export")
            guard mode & 0o022 == 0 else { return .fine(topic, "its group may write it") }
            return .bad(
                topic, "\(path)/export is its owner's alone",
                mend: "install udev/70-kerb-edge.rules, which gives it to group kerb, and reboot")
        } catch {
            return .bad(topic, "\(error)", mend: "check the device tree's PWM")
        }
    }

    /// nil where no unit of ours is known to a systemd.
    private static func unit(_ path: String) -> Finding? {
        guard let sandbox = UnitExamination.sandbox() else { return nil }
        let topic = "PWM and unit"
        if sandbox.mayWrite(path) {
            return .fine(topic, "the unit leaves it writable")
        }
        // The chip's number moves between boots, its device's path does not.
        let device = path.split(separator: "/").dropLast(2).joined(separator: "/")
        return .bad(
            topic, "the unit keeps /sys read-only",
            mend: "`systemctl edit kerb-edge`, write `[Service]` and `ReadWritePaths=/\(device)` "
                + "below it, restart")
    }
}
