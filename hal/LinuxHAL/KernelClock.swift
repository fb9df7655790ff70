import CLinux
import Service

/// What the kernel knows about its wall clock.
package enum KernelClock {
    /// True while a time server (or another reference) keeps it right.
    package static var isSynchronised: Bool { kerb_clock_is_synchronised() == 1 }

    /// True where the time at power-on was taken from a clock with a battery.
    package static func hasBattery(sysfs: String = "/sys") -> Bool {
        // A board without such a clock has no such file.
        let text = try? FileSystem.read("\(sysfs)/class/rtc/rtc0/hctosys", limitBytes: 16)
        return text?.first == UInt8(ascii: "1")
    }
}
