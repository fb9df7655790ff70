import Charging
import HAL
import JSON
import Service

/// The status for people: what `kerb-edge status` prints, once or every second with the power's
/// course.
package struct StatusScreen: Sendable {
    /// Seconds of power that are kept and drawn.
    package static let history = 60
    private static let barWidth = 20

    private let terminal: Terminal
    private let isWatching: Bool
    private var powers: [Int: [Int64]] = [:]

    package init(terminal: Terminal, isWatching: Bool) {
        self.terminal = terminal
        self.isWatching = isWatching
    }

    /// The text for the status `status`, which becomes part of the history.
    package mutating func text(_ status: JSONValue) -> String {
        let depth = status["journalDepth"]?.int.map { "\($0) to send" } ?? "unreadable"
        let registration = status["registration"]?.string ?? "not registered"
        let link = status["link"]?.string ?? "?"
        var lines = [
            "\(status["station"]?.string ?? "?")  link "
                + terminal.coloured(link, link == "up" ? .green : .red)
                + ", \(registration), journal \(depth)"
        ]
        lines += Self.notes(status)
        for connector in status["connectors"]?.array ?? [] {
            if isWatching { lines.append("") }
            lines += self.lines(connector, of: status)
            if let text = Self.limitsText(status, connector: connector["connector"]?.int ?? 0) {
                lines.append(text)
            }
        }
        if let text = Self.siteText(status) {
            if isWatching { lines.append("") }
            lines.append(text)
        }
        return lines.joined(separator: "\n")
    }

    /// `down: connection refused; next try in 40 s`; nil where there is a link, or nothing to say.
    package static func linkTrouble(_ status: JSONValue) -> String? {
        guard status["link"]?.string == "down" else { return nil }
        let seconds = status["nextTrySeconds"]?.int.map { "next try in \($0) s" }
        let parts = [status["linkError"]?.string, seconds].compactMap { $0 }
        return parts.isEmpty ? nil : "down: " + parts.joined(separator: "; ")
    }

    /// What of the journal and the clock a person should know; nothing while all is well.
    private static func notes(_ status: JSONValue) -> [String] {
        var lines: [String] = []
        if let trouble = linkTrouble(status) { lines.append("  link \(trouble)") }
        let journal = status["journal"]
        if let trouble = journal?["trouble"]?.string { lines.append("  no new charge: \(trouble)") }
        if let parked = journal?["parkedCharges"]?.int, parked > 0 {
            lines.append("  \(parked) charges cannot be delivered, tried again for ever")
        }
        if let waiting = journal?["waitingForTime"]?.int, waiting > 0 {
            lines.append("  \(waiting) messages wait for a clock that can be trusted")
        }
        if status["clock"]?["trust"]?.string == "untrusted" {
            lines.append("  clock \(status["clock"]?["now"]?.string ?? "?"), not trusted")
        }
        for notice in (journal?["notices"]?.array ?? []).compactMap(\.string) {
            lines.append("  notice \(notice)")
        }
        return lines
    }

    private mutating func lines(_ connector: JSONValue, of status: JSONValue) -> [String] {
        func text(_ key: String) -> String { connector[key]?.string ?? "?" }
        let number = connector["connector"]?.int ?? 0
        let reason = connector["reason"]?.string.map { " (\($0))" } ?? ""
        var lines = ["connector \(number)  \(coloured(text("status")))\(reason)"]
        if isWatching { lines.append("  " + course(number, connector)) }
        lines.append(
            "  contactor \(text("contactor")), pilot \(text("pilot")), "
                + "signal \(text("signal")), limit \(connector["limitAmperes"]?.number?.text ?? "?") A"
        )
        if connector["energyAllowed"]?.bool == true {
            lines.append("  energy allowed")
        } else {
            lines.append(Self.whyNot(connector, status))
        }
        lines += Self.details(connector)
        if let charge = connector["charge"] {
            lines.append(
                "  charge \(charge["charge"]?.int ?? 0): \(charge["energyWh"]?.int ?? 0) Wh since "
                    + "\(charge["startedAt"]?.string ?? "?")")
        }
        if let meter = connector["meter"] { lines.append("  meter \(Self.text(ofMeter: meter))") }
        return lines
    }

    /// Nothing is wrong with an outlet at which nobody is: what it waits for is no list of troubles.
    private static func whyNot(_ connector: JSONValue, _ status: JSONValue) -> String {
        let why = (connector["hindrances"]?.array ?? []).compactMap(\.string)
        let waits = [
            (Hindrance.pilotState(.a).description, "a car"),
            (Hindrance.pilotState(.b).description, "the car's wish for energy"),
            (Hindrance.notAuthorized.description, "an authorisation"),
        ]
        var known =
            waits.map(\.0) + [Hindrance.noCurrentOffered, .diodeNotChecked].map(\.description)
        let share = Hindrance.limitBelowMinimum(milliamperes: 0).description
        let awaitsShare = why.contains(share) && Self.awaitsShare(connector, status)
        if awaitsShare { known.append(share) }
        let isIdle = ["Available", "Preparing"].contains(connector["status"]?.string)
        guard isIdle, !why.isEmpty, why.allSatisfy(known.contains) else {
            return "  no energy: \(why.joined(separator: "; "))"
        }
        let awaited = waits.filter { why.contains($0.0) }.map(\.1)
        return "  ready, waits for \(awaited.joined(separator: " and "))"
            + (awaitsShare ? "; gets its share of the fuse then" : "")
    }

    /// Where outlets share a fuse an idle one has none of it; a limit of somebody is another matter.
    private static func awaitsShare(_ connector: JSONValue, _ status: JSONValue) -> Bool {
        let charging = status["charging"]
        let isLimited = ["fileLimitAmperes", "socketLimitAmperes", "stationMaximumAmperes"]
            .contains { charging?[$0] != nil }
        let limits = connector["limits"]?.object ?? [:]
        return ["shared", "granted"].contains(charging?["state"]?.string) && !isLimited
            && limits["site"]?.decimal == .zero
            && limits.allSatisfy { $0.key == "site" || thousandths($0.value) >= 6_000 }
    }

    /// The power now as a bar against what the limit allows, and its last minute.
    private mutating func course(_ number: Int, _ connector: JSONValue) -> String {
        let power = connector["meter"]?["powerW"]?.int64
        let most = Self.mostWatts(connector)
        var past = powers[number] ?? []
        past.append(power ?? 0)
        if past.count > Self.history { past.removeFirst(past.count - Self.history) }
        powers[number] = past
        guard let power else { return "power unknown" }
        let bar = terminal.coloured(
            Terminal.bar(power, of: most, width: Self.barWidth), power > most ? .red : .green)
        let peak = max(past.max() ?? 0, most)
        return "\(bar) \(power) W of \(most) W  \(Terminal.sparkline(past, most: peak))"
    }

    /// What the limit allows at the voltages that are there; 230 V a phase where none was read.
    private static func mostWatts(_ connector: JSONValue) -> Int64 {
        let milliamperes = thousandths(connector["limitAmperes"])
        let volts = (connector["meter"]?["voltagesV"]?.array ?? []).map(thousandths)
        let millivolts = volts.isEmpty ? 230_000 : volts.reduce(0, +)
        return milliamperes * millivolts / 1_000_000
    }

    private static func thousandths(_ value: JSONValue?) -> Int64 {
        value?.decimal.map { $0 * Decimal(1000) }?.floor ?? 0
    }

    private func coloured(_ status: String) -> String {
        switch status {
        case "Charging", "Available": terminal.coloured(status, .green)
        case "Faulted": terminal.coloured(status, .red)
        case "Unavailable": terminal.coloured(status, .grey)
        default: terminal.coloured(status, .yellow)
        }
    }

    package static func text(ofMeter meter: JSONValue) -> String {
        guard let register = meter["registerWh"]?.int else {
            return meter["error"]?.string ?? "not read"
        }
        var parts = ["\(register) Wh"]
        if let power = meter["powerW"]?.int { parts.append("\(power) W") }
        for (key, unit) in [("currentsA", "A"), ("voltagesV", "V")] {
            let values = (meter[key]?.array ?? []).compactMap { $0.number?.text }
            if !values.isEmpty { parts.append("\(values.joined(separator: "/")) \(unit)") }
        }
        parts.append("age \(meter["ageMilliseconds"]?.int ?? 0) ms")
        parts.append(meter["quality"]?.string ?? "")
        if let error = meter["error"]?.string { parts.append(error) }
        return parts.joined(separator: ", ")
    }
}
