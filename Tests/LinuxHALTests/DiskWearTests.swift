import Glibc
import Testing

@testable import LinuxHAL

@Suite struct `A disk's wear` {
    /// An eMMC of a board with one partition: 179:0 and 179:2.
    private func emmc(_ life: String, reserve: String = "0x01") throws -> FakeSysfs {
        let fake = FakeSysfs()
        try fake.device("devices/mmcblk0/device", "life_time", life)
        try fake.device("devices/mmcblk0/device", "pre_eol_info", reserve)
        for (number, place) in [
            ("179:0", "devices/mmcblk0"), ("179:2", "devices/mmcblk0/mmcblk0p2"),
        ] {
            try fake.device("dev/block/\(number)", "dev", number, at: place)
        }
        return fake
    }

    private func device(_ major: UInt64, _ minor: UInt64) -> dev_t { dev_t(major << 8 | minor) }

    @Test func `is the worst of both kinds of cells, of a partition as of the whole`() throws {
        let fake = try emmc("0x01 0x04")
        for minor in [0, 2] as [UInt64] {
            let wear = DiskWear(device: device(179, minor), sysfs: fake.sysfs)
            #expect(wear?.percent == 40)
            #expect(wear?.isAtItsEnd == false)
        }
    }

    @Test func `tells spare blocks that run out`() throws {
        let fake = try emmc("0x0b 0x01", reserve: "0x03")
        let wear = DiskWear(device: device(179, 2), sysfs: fake.sysfs)
        #expect(wear?.percent == 110)
        #expect(wear?.isAtItsEnd == true)
    }

    @Test(arguments: ["0x00 0x00", "0x0c 0x01", "", "soon"])
    func `is not known where the disk does not say`(_ life: String) throws {
        #expect(DiskWear(device: device(179, 2), sysfs: try emmc(life).sysfs) == nil)
    }

    @Test func `is not known of what is no disk`() throws {
        #expect(DiskWear(device: device(8, 1), sysfs: try emmc("0x01 0x01").sysfs) == nil)
        #expect(DiskWear(path: "/proc") == nil)
    }
}
