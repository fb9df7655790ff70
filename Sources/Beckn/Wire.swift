import Charging
import JSON

/// Reads what peers send: by path, tolerant of the deviations seen in the wild, and naming the path
/// of what is missing. Facts: payload defects of the seeds and the UEI collections.
struct Wire: Sendable {
    let value: JSONValue
    let path: String

    init(_ value: JSONValue, path: String = "$") {
        self.value = value
        self.path = path
    }

    /// The member; `.null` counts as missing.
    subscript(_ key: String) -> Wire? {
        guard let member = value[key], !member.isNull else { return nil }
        return Wire(member, path: "\(path).\(key)")
    }

    /// The first of several spellings that is there: plural and singular, old and new.
    func any(_ keys: String...) -> Wire? {
        for key in keys { if let member = self[key] { return member } }
        return nil
    }

    /// The elements; a single object where an array belongs counts as one element.
    var elements: [Wire] {
        switch value {
        case .array(let items):
            items.enumerated().map { Wire($1, path: "\(path)[\($0)]") }
        case .object: [self]
        case .null, .bool, .number, .string: []
        }
    }

    /// A text that is not empty; numbers and booleans are taken by their spelling.
    var text: String? {
        switch value {
        case .string(let text):
            let trimmed = text.trimmedBlanks
            return trimmed.isEmpty ? nil : trimmed
        case .number(let number): return number.text
        case .bool(let bool): return String(bool)
        case .null, .array, .object: return nil
        }
    }

    /// A decimal, quoted or not; what follows the digits (`30%`, `7.5 kW`) is cut off.
    var decimal: Decimal? {
        if let number = value.decimal { return number }
        guard let text else { return nil }
        let digits = text.prefix { "+-0123456789.".contains($0) }
        return Decimal(digits.drop { $0 == "+" })
    }

    func require(_ key: String) throws(BecknError) -> Wire {
        guard let member = self[key] else {
            throw .field("\(path).\(key)", "missing")
        }
        return member
    }

    func requireText(_ key: String) throws(BecknError) -> String {
        let member = try require(key)
        guard let text = member.text else { throw .field(member.path, "a text is needed") }
        guard text.utf8.count <= WireLimits.textBytes else {
            throw .field(member.path, "longer than \(WireLimits.textBytes) bytes")
        }
        return text
    }

    /// A bounded copy of free objects like `billing`, for the order's record.
    func kept() throws(BecknError) -> JSONValue {
        guard value.encoded().count <= WireLimits.keptBytes else {
            throw .field(path, "larger than \(WireLimits.keptBytes) bytes")
        }
        return value
    }
}

/// Bounds of what one message may bring into the store.
enum WireLimits {
    static let textBytes = 256
    /// Billing and customer, as they are kept and echoed.
    static let keptBytes = 8 << 10
    static let bodyBytes = 256 << 10
    static let json = JSONLimits(
        bytes: bodyBytes, depth: 32, members: 500, elements: 2_000, values: 20_000,
        stringBytes: 16 << 10)
}

extension StringProtocol {
    /// Without blanks at both ends.
    var trimmedBlanks: String {
        var view = Substring(self)
        while let first = view.first, first.isWhitespace { view.removeFirst() }
        while let last = view.last, last.isWhitespace { view.removeLast() }
        return String(view)
    }

    /// Lower case, without blanks, hyphens, underscores, dots: how codes and names are compared.
    var folded: String {
        String(lowercased().filter { !" -_./\t".contains($0) })
    }
}

/// The tags of an object, grouped or flat, matched by code or name. Facts §9.
struct Tags: Sendable {
    private(set) var entries: [(group: String, key: String, value: String)] = []

    init(_ wires: Wire?...) {
        for wire in wires {
            for group in wire?.elements ?? [] { take(group) }
        }
    }

    private mutating func take(_ group: Wire) {
        let name = Self.name(group)
        if let list = group["list"] {
            for entry in list.elements {
                guard let value = entry["value"]?.text else { continue }
                entries.append((name, Self.name(entry), value))
            }
        } else if let value = group["value"]?.text {
            entries.append((name, name, value))
        }
    }

    private static func name(_ wire: Wire) -> String {
        let descriptor = wire["descriptor"]
        let text =
            descriptor?["code"]?.text ?? wire["code"]?.text ?? descriptor?["name"]?.text
            ?? wire["name"]?.text
        return text?.folded ?? ""
    }

    /// Every value under one of these keys, be it the entry's own or its group's (`connector-types`
    /// with the type itself as the entry's code).
    func values(_ keys: String...) -> [String] {
        let folded = keys.map(\.folded)
        return entries.filter { folded.contains($0.key) || folded.contains($0.group) }.map(\.value)
    }
}

/// ISO 8601 durations as far as Beckn uses them: days and smaller, months read as 30 days.
enum ISODuration {
    /// Seconds; nil for anything else or more than a year.
    static func seconds(_ text: String) -> Int64? {
        guard text.first == "P" || text.first == "p", text.utf8.count <= 32 else { return nil }
        var (total, digits, isTime): (Int64, String, Bool) = (0, "", false)
        var seen = false
        for letter in text.uppercased().dropFirst() {
            if letter == "T" {
                isTime = true
                continue
            }
            if letter.isNumber || letter == "." {
                digits.append(letter)
                continue
            }
            let whole = digits.prefix { $0 != "." }
            guard let value = Int64(whole), value <= 31_536_000 else { return nil }
            switch (letter, isTime) {
            case ("S", true): total += value
            case ("M", true): total += value * 60
            case ("H", true): total += value * 3600
            case ("D", false): total += value * 86_400
            case ("W", false): total += value * 604_800
            case ("M", false): total += value * 2_592_000
            case ("Y", false): total += value * 31_536_000
            default: return nil
            }
            digits = ""
            seen = true
            guard total <= 366 * 86_400 else { return nil }
        }
        return seen && digits.isEmpty ? total : nil
    }

    static func text(_ seconds: Int64) -> String {
        seconds % 60 == 0 && seconds > 0 ? "PT\(seconds / 60)M" : "PT\(seconds)S"
    }
}
