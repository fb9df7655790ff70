import CLinux
import Glibc
import HAL
import Service

/// The kernel's GPIO character device, version 2 of its interface, by ioctl.
///
/// No library between us and it: Debian 12 and 13 have two that do not go together, and only this
/// interface has debouncing and outputs beside watched inputs in one request.
package struct LinuxGPIO: GPIOKernel {
    private let folder: String
    private static let nameBytes = 32
    /// What the kernel shows as the holder of our lines.
    package static let consumer = "kerb-edge"

    /// - `folder` is /dev but for tests.
    package init(folder: String = "/dev") { self.folder = folder }

    package func chips() throws(GPIOError) -> [GPIOChip] {
        // Without the folder there is no chip; the caller says so.
        let names = (try? FileSystem.names(in: folder)) ?? []
        return names.filter { $0.hasPrefix("gpiochip") }.compactMap { name in
            Self.chip("\(folder)/\(name)")
        }
    }

    /// nil for a chip that we may not open: its lines cannot be ours.
    private static func chip(_ path: String) -> GPIOChip? {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var label = [CChar](repeating: 0, count: nameBytes)
        var count: UInt32 = 0
        guard kerb_gpio_chip_info(descriptor, &label, &count) == 0 else { return nil }
        var lines: [GPIOChip.Line] = []
        for offset in 0..<count {
            var name = [CChar](repeating: 0, count: nameBytes)
            var holder = [CChar](repeating: 0, count: nameBytes)
            var isUsed = false
            guard kerb_gpio_line_info(descriptor, offset, &name, &holder, &isUsed) == 0 else {
                return nil
            }
            let who = text(holder)
            lines.append(
                .init(name: text(name), holder: isUsed ? who.isEmpty ? "the kernel" : who : nil))
        }
        return GPIOChip(path: path, label: text(label), lines: lines)
    }

    private static func text(_ bytes: [CChar]) -> String {
        String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    package func request(
        _ lines: [GPIOLineSetting], chip: String
    ) throws(GPIOError) -> any GPIORequest {
        let descriptor = open(chip, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw .failed(chip, errno: errno) }
        defer { close(descriptor) }
        let wanted = lines.map(\.native)
        let request = kerb_gpio_request(descriptor, Self.consumer, wanted, wanted.count)
        guard request >= 0 else {
            throw .failed("\(chip): \(lines.count) lines", errno: errno)
        }
        return LinuxGPIORequest(descriptor: request, offsets: lines.map(\.offset), chip: chip)
    }
}

/// Lines held by a descriptor; the kernel lets go of them when it is closed.
private final class LinuxGPIORequest: GPIORequest {
    let descriptor: Int32
    private let chip: String
    private let offsets: [UInt32]

    init(descriptor: Int32, offsets: [UInt32], chip: String) {
        self.descriptor = descriptor
        self.offsets = offsets
        self.chip = chip
    }

    deinit { close(descriptor) }

    func read(_ mask: UInt64) throws(GPIOError) -> UInt64 {
        var levels: UInt64 = 0
        guard kerb_gpio_read(descriptor, mask, &levels) == 0 else {
            throw .failed("\(chip): reading", errno: errno)
        }
        return levels
    }

    func write(_ levels: UInt64, _ mask: UInt64) throws(GPIOError) {
        guard kerb_gpio_write(descriptor, mask, levels) == 0 else {
            throw .failed("\(chip): setting", errno: errno)
        }
    }

    func reconfigure(_ lines: [GPIOLineSetting]) throws(GPIOError) {
        let wanted = lines.map(\.native)
        guard kerb_gpio_reconfigure(descriptor, wanted, wanted.count) == 0 else {
            throw .failed("\(chip): other settings", errno: errno)
        }
    }

    func takeEvent() throws(GPIOError) -> GPIOEvent? {
        var event = kerb_gpio_event()
        switch kerb_gpio_event_take(descriptor, &event) {
        case 0: return nil
        case 1:
            return GPIOEvent(
                offset: event.offset, isRising: event.is_rising,
                nanoseconds: Int64(clamping: event.timestamp_nanoseconds),
                number: event.line_number)
        default: throw .failed("\(chip): waiting for edges", errno: errno)
        }
    }
}

extension GPIOLineSetting {
    fileprivate var native: kerb_gpio_line {
        var line = kerb_gpio_line()
        line.offset = offset
        line.is_output = isOutput
        line.level = level
        line.debounce_microseconds = UInt32(clamping: debounceMicroseconds)
        line.bias =
            switch bias {
            case .asIs: UInt8(KERB_GPIO_BIAS_AS_IS.rawValue)
            case .none: UInt8(KERB_GPIO_BIAS_NONE.rawValue)
            case .pullUp: UInt8(KERB_GPIO_BIAS_UP.rawValue)
            case .pullDown: UInt8(KERB_GPIO_BIAS_DOWN.rawValue)
            }
        line.drive =
            switch drive {
            case .pushPull: UInt8(KERB_GPIO_PUSH_PULL.rawValue)
            case .openDrain: UInt8(KERB_GPIO_OPEN_DRAIN.rawValue)
            case .openSource: UInt8(KERB_GPIO_OPEN_SOURCE.rawValue)
            }
        return line
    }
}

/// What errno means, in words.
enum ErrorText {
    static func of(_ code: Int32) -> String { String(cString: strerror(code)) }
}
