import Glibc
import HAL
import Service

/// The two trees of sysfs that a pilot needs. The root is a parameter, so that a test has its own.
package struct Sysfs: Sendable {
    package let root: String

    package init(root: String = "/sys") { self.root = root }

    private static let mostBytes = 4_096

    func text(_ path: String) throws(DeviceError) -> String {
        do throws(FileError) {
            let bytes = try FileSystem.read(path, limitBytes: Self.mostBytes)
            return String(decoding: bytes.filter { $0 != 0x0A && $0 != 0 }, as: UTF8.self)
        } catch { throw .busDown("\(error)") }
    }

    func number(_ path: String) throws(DeviceError) -> Int {
        let text = try text(path)
        guard let number = Int(text) else { throw .wrongAnswer("\(path): \(text.prefix(40))") }
        return number
    }

    /// sysfs takes a value in one write(), and answers an impossible one with an error.
    func write(_ text: String, to path: String) throws(DeviceError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC)
        guard descriptor >= 0 else { throw .busDown("\(path): \(ErrorText.of(errno))") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw .busDown("\(path) = \(text): \(ErrorText.of(errno))")
        }
    }

    private func names(_ folder: String) throws(DeviceError) -> [String] {
        do throws(FileError) { return try FileSystem.names(in: folder) } catch {
            throw .busDown("\(error)")
        }
    }

    /// The iio device of this name, or with this part in its path.
    package func analogDevice(_ name: String) throws(DeviceError) -> String {
        try device(name, "analogue input", in: "bus/iio/devices", "iio:device", file: "name")
    }

    /// The device of this name, or with this part in its path, that measures a temperature.
    package func temperatureDevice(
        _ kind: SysfsTemperatureProfile.Kind, _ name: String
    ) throws(DeviceError) -> String {
        switch kind {
        case .hwmon:
            try device(name, "hwmon device", in: "class/hwmon", "hwmon", file: "name")
        case .thermalZone:
            try device(name, "thermal zone", in: "class/thermal", "thermal_zone", file: "type")
        case .iio: try analogDevice(name)
        }
    }

    private func device(
        _ name: String, _ kind: String, in folder: String, _ prefix: String, file: String
    ) throws(DeviceError) -> String {
        let folder = "\(root)/\(folder)"
        var known: [String] = []
        var found: [String] = []
        for entry in try names(folder) where entry.hasPrefix(prefix) {
            let path = "\(folder)/\(entry)"
            let parts = Self.realPath(path)?.split(separator: "/").map(String.init) ?? []
            let text = try text("\(path)/\(file)")
            if text == name || parts.contains(name) { found.append(path) }
            known.append(text)
        }
        guard let first = found.first else {
            throw .busDown(
                "no \(kind) is called `\(name)`; there are "
                    + (known.isEmpty ? "none" : known.joined(separator: ", ")))
        }
        guard found.count == 1 else {
            throw .busDown(
                "\(found.count) devices of one name, `\(name)`; name a part of the path in sysfs")
        }
        return first
    }

    /// The PWM chip whose device's path has this part: numbers move between boots, paths do not.
    package func pwmChip(_ device: String) throws(DeviceError) -> String {
        let folder = "\(root)/class/pwm"
        var known: [String] = []
        for entry in try names(folder) where entry.hasPrefix("pwmchip") {
            guard let path = Self.realPath("\(folder)/\(entry)/device") else { continue }
            let parts = path.split(separator: "/").map(String.init)
            if parts.contains(device) { return "\(folder)/\(entry)" }
            known.append(parts.last ?? path)
        }
        throw .busDown(
            "no PWM belongs to `\(device)`; there are "
                + (known.isEmpty ? "none" : known.joined(separator: ", ")))
    }

    private static func realPath(_ path: String) -> String? {
        guard let found = realpath(path, nil) else { return nil }
        defer { free(found) }
        return String(cString: found)
    }
}

/// One channel of an ADC.
package struct AnalogInput: Sendable {
    package let name: String
    private let sysfs: Sysfs
    private let path: String
    private let scale: ADCScale

    package init(
        _ sysfs: Sysfs, device: String, channel: Int, scale: ADCScale
    ) throws(DeviceError) {
        self.sysfs = sysfs
        self.scale = scale
        name = "\(device) voltage\(channel)"
        path = "\(try sysfs.analogDevice(device))/in_voltage\(channel)_raw"
    }

    package func millivolts() throws(DeviceError) -> Int {
        scale.millivolts(raw: try sysfs.number(path))
    }
}

/// One channel of a PWM that makes the pilot's square wave.
package struct PWMOutput: Sendable {
    private let sysfs: Sysfs
    private let path: String
    private let isInverted: Bool

    package init(
        _ sysfs: Sysfs, device: String, channel: Int, isInverted: Bool
    ) throws(DeviceError) {
        self.sysfs = sysfs
        self.isInverted = isInverted
        let chip = try sysfs.pwmChip(device)
        path = "\(chip)/pwm\(channel)"
        if !FileSystem.exists(path) { try sysfs.write("\(channel)", to: "\(chip)/export") }
    }

    /// High for so long in each millisecond: 1 000 000 is X1, 0 is F.
    package func set(highNanoseconds: Int) throws(DeviceError) {
        let period = PilotDuty.periodNanoseconds
        let duty = isInverted ? period - highNanoseconds : highNanoseconds
        if try sysfs.number("\(path)/period") != period {
            // A duty longer than the period is refused, so the wave stops for a moment.
            try sysfs.write("0", to: "\(path)/enable")
            try sysfs.write("0", to: "\(path)/duty_cycle")
            try sysfs.write("\(period)", to: "\(path)/period")
        }
        try sysfs.write("\(duty)", to: "\(path)/duty_cycle")
        if try sysfs.number("\(path)/enable") != 1 { try sysfs.write("1", to: "\(path)/enable") }
    }
}
