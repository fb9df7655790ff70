import Glibc

/// How far the flash that holds a file has used up its life, where it says so: eMMC does, cards and most
/// disks do not.
///
/// - Source: JEDEC JESD84-B51 §7.4.84 to 7.4.86 (DEVICE_LIFE_TIME_EST, PRE_EOL_INFO) as the kernel's
///   `life_time` and `pre_eol_info` give them.
package struct DiskWear: Hashable, Sendable {
    /// Of its life, at most so much; tens of a hundred. Above 100: past what its maker promised.
    package var percent: Int
    /// Its spare blocks run out.
    package var isAtItsEnd: Bool

    /// nil where nothing is known.
    ///
    /// - `device` of the file's `stat`, as the kernel numbers block devices.
    package init?(device: dev_t, sysfs: Sysfs = Sysfs()) {
        let value = UInt64(device)
        let major = (value >> 8) & 0xFFF | (value >> 32) & 0xFFFF_F000
        let minor = value & 0xFF | (value >> 12) & 0xFFFF_FF00
        let link = "\(sysfs.root)/dev/block/\(major):\(minor)"
        // Of the whole disk, or of the disk that a partition lies in. What is not there is not known.
        for folder in ["\(link)/device", "\(link)/../device"] {
            guard let text = try? sysfs.text("\(folder)/life_time") else { continue }
            let steps = text.split(separator: " ").compactMap { word in
                word.hasPrefix("0x") ? Int(word.dropFirst(2), radix: 16) : nil
            }
            // Two kinds of cells; 0 is "not defined".
            guard let most = steps.max(), (1...11).contains(most) else { return nil }
            percent = most * 10
            // As above.
            let reserve = (try? sysfs.text("\(folder)/pre_eol_info")) ?? ""
            isAtItsEnd = ["0x02", "0x03"].contains(reserve)
            return
        }
        return nil
    }

    /// Of the disk that `path` lies on.
    package init?(path: String) {
        var info = stat()
        guard stat(path, &info) == 0 else { return nil }
        self.init(device: info.st_dev)
    }
}
