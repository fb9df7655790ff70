import HAL

/// Why a GPIO line cannot be had or moved.
package enum GPIOError: Error, Hashable, Sendable {
    /// No chip has this label; nil when the machine has no chip at all.
    case noChip(label: String?, known: [String])
    case noLine(String, chip: String?, nearest: String?)
    /// Two chips have a line of this name: the board's file must name the chip.
    case ambiguous(String, chips: [String])
    /// One line is wanted for two things.
    case wantedTwice(String, by: [String])
    /// Another program or the kernel holds the line.
    case held(String, by: String)
    case tooMany(chip: String)
    case failed(String, errno: Int32)
}

/// One line as a request wants it; all levels are those of the pad.
package struct GPIOLineSetting: Hashable, Sendable {
    package var offset: UInt32
    package var isOutput: Bool
    /// Of an output, from the request on.
    package var level: Bool
    package var bias: LineProfile.Bias
    package var drive: LineProfile.Drive
    package var debounceMicroseconds: Int

    package init(
        offset: UInt32, isOutput: Bool, level: Bool = false, bias: LineProfile.Bias = .asIs,
        drive: LineProfile.Drive = .pushPull, debounceMicroseconds: Int = 0
    ) {
        self.offset = offset
        self.isOutput = isOutput
        self.level = level
        self.bias = bias
        self.drive = drive
        self.debounceMicroseconds = debounceMicroseconds
    }
}

package struct GPIOChip: Hashable, Sendable {
    package struct Line: Hashable, Sendable {
        /// Empty when the board's device tree gives it none.
        package var name: String
        /// Who holds it; nil when nobody does.
        package var holder: String?

        package init(name: String, holder: String? = nil) {
            self.name = name
            self.holder = holder
        }
    }

    /// `/dev/gpiochip0`: moves between boots, so nothing but a request uses it.
    package var path: String
    package var label: String
    package var lines: [Line]

    package init(path: String, label: String, lines: [Line]) {
        self.path = path
        self.label = label
        self.lines = lines
    }
}

/// An input's line went up or down.
package struct GPIOEvent: Hashable, Sendable {
    package var offset: UInt32
    package var isRising: Bool
    /// CLOCK_MONOTONIC of the edge.
    package var nanoseconds: Int64
    /// Counts the line's edges from 1; a gap tells of lost ones.
    package var number: UInt32

    package init(offset: UInt32, isRising: Bool, nanoseconds: Int64, number: UInt32) {
        self.offset = offset
        self.isRising = isRising
        self.nanoseconds = nanoseconds
        self.number = number
    }
}

/// What the kernel does for us; tests put a board of their own behind it.
package protocol GPIOKernel: Sendable {
    func chips() throws(GPIOError) -> [GPIOChip]
    /// Takes lines of one chip: outputs have their level and inputs are watched from now on.
    func request(
        _ lines: [GPIOLineSetting], chip: String
    ) throws(GPIOError) -> any GPIORequest
}

/// Lines that are ours as long as this lives. Bit n of every mask is the n-th line of the request.
package protocol GPIORequest: AnyObject, Sendable {
    /// For poll(); -1 where there is nothing to wait for.
    var descriptor: Int32 { get }
    func read(_ mask: UInt64) throws(GPIOError) -> UInt64
    func write(_ levels: UInt64, _ mask: UInt64) throws(GPIOError)
    /// Other settings for the same lines in the same order, without letting go of them.
    func reconfigure(_ lines: [GPIOLineSetting]) throws(GPIOError)
    /// The oldest edge that nobody took yet.
    func takeEvent() throws(GPIOError) -> GPIOEvent?
}

extension GPIOError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noChip(nil, _): "this machine has no GPIO chip, or none that we may open"
        case .noChip(let label?, let known):
            "no GPIO chip has the label `\(label)`; there are "
                + (known.isEmpty ? "none that we may open" : known.joined(separator: ", "))
        case .noLine(let name, let chip, let nearest):
            "no GPIO line is called `\(name)`" + (chip.map { " on chip \($0)" } ?? "")
                + (nearest.map { "; did you mean `\($0)`?" } ?? "; `gpioinfo` lists what there is")
        case .ambiguous(let name, let chips):
            "chips \(chips.joined(separator: " and ")) both have a line `\(name)`; name one with `gpioChip`"
        case .wantedTwice(let name, let owners):
            "line `\(name)` is wanted for \(owners.joined(separator: " and for ")); name another under `lines`"
        case .held(let name, let holder): "line `\(name)` is held by \(holder)"
        case .tooMany(let chip): "more than 64 lines of chip \(chip) are wanted"
        case .failed(let what, let code): "\(what): \(ErrorText.of(code))"
        }
    }

    /// The same trouble in a device's words.
    package var asDeviceError: DeviceError { .busDown(description) }
}
