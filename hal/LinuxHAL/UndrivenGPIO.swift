import HAL

/// A board that is looked at and not driven: names are those of the machine, nothing is requested.
///
/// A machine without any chip, an office's say, gets one with every wished name, so that all the
/// rest of a configuration can be checked there.
package struct UndrivenGPIO: GPIOKernel {
    private let known: [GPIOChip]
    /// False for the made-up chip.
    package let isReal: Bool

    package init(_ machine: any GPIOKernel, _ wishes: [GPIOWish]) {
        // A machine that cannot be asked is one without chips.
        let chips = (try? machine.chips()) ?? []
        isReal = !chips.isEmpty
        if isReal {
            known = chips.map(Self.withoutAgent)
        } else {
            var names: [String?: Set<String>] = [:]
            for wish in wishes { names[wish.chip, default: []].insert(wish.name) }
            known = names.enumerated().map { index, entry in
                GPIOChip(
                    path: "none\(index)", label: entry.key ?? "",
                    lines: entry.value.sorted().map { .init(name: $0) })
            }
        }
    }

    /// Lines that the running agent holds are where they should be: an upgrade checks its configuration
    /// while it drives them.
    private static func withoutAgent(_ chip: GPIOChip) -> GPIOChip {
        var chip = chip
        for index in chip.lines.indices where chip.lines[index].holder == LinuxGPIO.consumer {
            chip.lines[index].holder = nil
        }
        return chip
    }

    package func chips() -> [GPIOChip] { known }

    package func request(
        _ lines: [GPIOLineSetting], chip: String
    ) throws(GPIOError) -> any GPIORequest { Nothing() }

    private final class Nothing: GPIORequest {
        let descriptor: Int32 = -1
        func read(_ mask: UInt64) throws(GPIOError) -> UInt64 { 0 }
        func write(_ levels: UInt64, _ mask: UInt64) throws(GPIOError) {}
        func reconfigure(_ lines: [GPIOLineSetting]) throws(GPIOError) {}
        func takeEvent() throws(GPIOError) -> GPIOEvent? { nil }
    }
}
