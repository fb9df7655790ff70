import Glibc
import LinuxHAL
import Service
import TestSupport

/// A tree like sysfs, whose files a test reads and writes.
final class FakeSysfs: Sendable {
    private let folder = TemporaryFolder()
    var sysfs: Sysfs { Sysfs(root: folder.path) }

    /// With one PWM chip and one ADC.
    static func withPilot() throws -> FakeSysfs {
        let fake = FakeSysfs()
        try FileSystem.makeFolder(fake.folder.file("devices/platform/fe20c000.pwm"))
        try FileSystem.makeFolder(fake.folder.file("class/pwm/pwmchip3/pwm0"))
        symlink(
            fake.folder.file("devices/platform/fe20c000.pwm"),
            fake.folder.file("class/pwm/pwmchip3/device"))
        for file in ["period", "duty_cycle", "enable"] { fake.pwm(file, "0") }
        try fake.device("bus/iio/devices/iio:device7", "name", "mcp3208")
        fake.line(positive: 0, negative: 0)
        return fake
    }

    /// A device with its name in a file; as in the kernel's tree a link to where it hangs.
    func device(_ path: String, _ file: String, _ name: String, at place: String? = nil) throws {
        if let place {
            try FileSystem.makeFolder(folder.file(place))
            try FileSystem.makeFolder(
                folder.file(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])))
            symlink(folder.file(place), folder.file(path))
        } else {
            try FileSystem.makeFolder(folder.file(path))
        }
        write("\(path)/\(file)", name + "\n")
    }

    func pwm(_ file: String, _ text: String) { write("class/pwm/pwmchip3/pwm0/\(file)", text) }
    func adc(_ file: String, _ text: String) { write("bus/iio/devices/iio:device7/\(file)", text) }

    /// Counts of an ADC with 1 mV a count, the negative side inverted.
    func line(positive: Int, negative: Int) {
        adc("in_voltage0_raw", "\(positive)\n")
        adc("in_voltage1_raw", "\(-negative)\n")
    }

    func pwm(_ file: String) throws -> String {
        String(
            decoding: try FileSystem.read(folder.file("class/pwm/pwmchip3/pwm0/\(file)")),
            as: UTF8.self)
    }

    func write(_ path: String, _ text: String) {
        let descriptor = open(folder.file(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        _ = Glibc.write(descriptor, text, text.utf8.count)
        close(descriptor)
    }

    func remove(_ path: String) { unlink(folder.file(path)) }

    /// From now on whoever opens the file waits: a driver that hangs.
    func hang(_ path: String) {
        remove(path)
        mkfifo(folder.file(path), 0o600)
    }

    /// Lets go of who waits, for as long as the descriptor is open.
    func release(_ path: String) -> Int32 {
        let descriptor = open(folder.file(path), O_RDWR | O_NONBLOCK | O_CLOEXEC)
        _ = Glibc.write(descriptor, "0\n", 2)
        return descriptor
    }
}
