import LinuxHAL
import Service
import TestSupport
import Testing

@Suite struct `The kernel's clock` {
    /// A clock that nobody read at power-on says nothing about the time there is now.
    @Test(arguments: [("1\n", true), ("0\n", false), (nil, false)])
    func `has a battery where the time at power-on came from one`(
        text: String?, hasBattery: Bool
    ) throws {
        let folder = TemporaryFolder()
        try FileSystem.makeFolder(folder.file("class/rtc/rtc0"))
        if let text {
            try FileSystem.writeAtomically(
                Array(text.utf8), to: folder.file("class/rtc/rtc0/hctosys"))
        }
        #expect(KernelClock.hasBattery(sysfs: folder.path) == hasBattery)
    }
}
