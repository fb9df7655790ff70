import Charging
import JSON

// Fuse trees as tables and the admin API spell them.

extension FuseTree {
    package var json: JSONValue {
        .members([
            "id": .string(id), "name": .text(name), "timeZone": .string(timeZone),
            "volts": .number(nominal.decimal.reduced),
            "nodes": .array(nodes.map(\.json)), "connectors": .array(outlets.map(\.json)),
        ])
    }

    /// - Throws: what is wrong with a member, or with the tree they make.
    package init(json value: JSONValue, id: String) throws(FuseTreeProblem) {
        let fields = TreeFields(value, "")
        let nominal = try fields.milli("volts", 1_000...1_000_000) ?? 230_000
        self.init(
            id: id, name: try fields.text("name", 128),
            timeZone: try fields.text("timeZone", 64) ?? "UTC",
            nominal: Volts(millivolts: nominal),
            nodes: try fields.list("nodes", Bounds.nodes.upperBound) {
                fields throws(FuseTreeProblem) in try Node(fields)
            },
            outlets: try fields.list("connectors", Bounds.outlets.upperBound) {
                fields throws(FuseTreeProblem) in try Outlet(fields)
            })
        if let problem { throw problem }
    }
}

extension FuseTree.Limit {
    package var members: [String: JSONValue?] {
        [
            "amperes": phases.map { phases in
                phases.l1 == phases.l2 && phases.l2 == phases.l3
                    ? .amperes(phases.l1)
                    : [
                        "L1": .amperes(phases.l1), "L2": .amperes(phases.l2),
                        "L3": .amperes(phases.l3),
                    ]
            }, "watts": watts.map { .number($0.value) },
        ]
    }

    /// `amperes` as one number or per phase, `watts`, or both.
    package init(json value: JSONValue) throws(FuseTreeProblem) {
        try self.init(TreeFields(value, ""))
    }

    init(_ fields: TreeFields) throws(FuseTreeProblem) {
        let range = FuseTree.Bounds.milliamperes
        var phases: PhaseCurrents?
        if let members = fields.value["amperes"], members.object != nil {
            let each = TreeFields(members, fields.at("amperes"))
            var currents: [Int64] = []
            for name in ["L1", "L2", "L3"] {
                guard let current = try each.milli(name, range) else {
                    throw FuseTreeProblem(each.at(name), "is missing; give all three phases")
                }
                currents.append(current)
            }
            phases = PhaseCurrents(currents[0], currents[1], currents[2])
        } else if let all = try fields.milli("amperes", range) {
            phases = PhaseCurrents(all, all, all)
        }
        self.init(
            phases: phases,
            watts: try fields.whole("watts", FuseTree.Bounds.watts).map { Watts($0) })
    }
}

extension FuseTree.Node {
    fileprivate var json: JSONValue {
        var members: [String: JSONValue?] = [
            "id": .string(id), "name": .text(name), "parent": .text(parent),
        ]
        members.merge(limit.members) { first, _ in first }
        if !windows.isEmpty { members["windows"] = .array(windows.map(\.json)) }
        return .given(members)
    }

    fileprivate init(_ fields: TreeFields) throws(FuseTreeProblem) {
        self.init(
            id: try fields.name("id"), name: try fields.text("name", 128),
            parent: try fields.text("parent", 64), limit: try FuseTree.Limit(fields),
            windows: try fields.list("windows", FuseTree.Bounds.windows) {
                fields throws(FuseTreeProblem) in try FuseTree.Window(fields)
            })
    }
}

extension FuseTree.Window {
    private static let dayNames = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

    package var json: JSONValue {
        var members = limit.members
        members["from"] = .string(Self.clock(from))
        members["until"] = .string(Self.clock(until))
        if !days.isEmpty {
            members["days"] = .array(days.sorted().map { .string(Self.dayNames[$0 - 1]) })
        }
        return .given(members)
    }

    init(_ fields: TreeFields) throws(FuseTreeProblem) {
        var days: Set<Int> = []
        if let member = fields.value["days"], !member.isNull {
            for day in member.array ?? [.null] {
                guard let index = day.string.flatMap({ Self.dayNames.firstIndex(of: $0) }) else {
                    throw FuseTreeProblem(
                        fields.at("days"), "must be a list of Mon, Tue, Wed, Thu, Fri, Sat, Sun")
                }
                days.insert(index + 1)
            }
        }
        let limit = try FuseTree.Limit(fields)
        guard limit != FuseTree.Limit() else {
            throw FuseTreeProblem(fields.at("amperes"), "or `watts` must say the limit")
        }
        let (from, until) = (try Self.minutes(fields, "from"), try Self.minutes(fields, "until"))
        guard from != until, from < 1440 else {
            throw FuseTreeProblem(fields.at("until"), "must differ from `from`")
        }
        self.init(days: days, from: from, until: until, limit: limit)
    }

    private static func clock(_ minutes: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(two(minutes / 60)):\(two(minutes % 60))"
    }

    /// `HH:MM`, 00:00 to 24:00.
    private static func minutes(
        _ fields: TreeFields, _ key: String
    ) throws(FuseTreeProblem) -> Int {
        let parts = fields.value[key]?.string?.split(
            separator: ":", omittingEmptySubsequences: false)
        guard let parts, parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 }),
            let hours = Int(parts[0]), let minutes = Int(parts[1]), (0..<60).contains(minutes),
            (0...1440).contains(hours * 60 + minutes)
        else { throw FuseTreeProblem(fields.at(key), "must be a time of the day like 17:30") }
        return hours * 60 + minutes
    }
}

extension FuseTree.Outlet {
    fileprivate var json: JSONValue {
        .members([
            "station": .string(id.station), "connector": .number(id.connector),
            "node": .string(node), "wiring": .string(wiring.rawValue),
            "amperes": .amperes(most.milliamperes),
            "minimumAmperes": .amperes(minimum.milliamperes),
            "offlineAmperes": fallback.map { .amperes($0.milliamperes) },
            "priority": .number(priority), "unit": .string(unit.rawValue),
        ])
    }

    fileprivate init(_ fields: TreeFields) throws(FuseTreeProblem) {
        guard let connector = fields.value["connector"]?.int,
            (1...Stations.mostConnectors).contains(connector)
        else {
            throw FuseTreeProblem(
                fields.at("connector"), "must be from 1 to \(Stations.mostConnectors)")
        }
        let currents = FuseTree.Bounds.milliamperes
        let priority = try fields.whole("priority", 0...100) ?? 0
        self.init(
            id: OutletID(try fields.name("station"), connector), node: try fields.name("node"),
            wiring: try fields.choice("wiring") ?? .rst,
            most: Amperes(milliamperes: try fields.milli("amperes", 1_000...1_000_000) ?? 32_000),
            minimum: Amperes(milliamperes: try fields.milli("minimumAmperes", currents) ?? 6_000),
            fallback: try fields.milli("offlineAmperes", currents).map {
                Amperes(milliamperes: $0)
            }, priority: Int(priority), unit: try fields.choice("unit") ?? .amperes)
    }
}

extension JSONValue {
    /// The members that are there.
    package static func given(_ members: [String: JSONValue?]) -> JSONValue {
        .object(members.compactMapValues { $0 })
    }

    /// Milliamperes as amperes.
    package static func amperes(_ milliamperes: Int64) -> JSONValue {
        .number(Decimal(significand: Int128(milliamperes), scale: 3).reduced)
    }
}

/// Reads members and names the one that is wrong by its path.
struct TreeFields {
    let value: JSONValue
    let path: String

    init(_ value: JSONValue, _ path: String) {
        self.value = value
        self.path = path
    }

    func at(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    private func member(_ key: String) -> JSONValue? {
        guard let member = value[key], !member.isNull else { return nil }
        return member
    }

    func text(_ key: String, _ most: Int) throws(FuseTreeProblem) -> String? {
        guard let member = member(key) else { return nil }
        guard let text = member.string, (1...most).contains(text.utf8.count),
            text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { throw FuseTreeProblem(at(key), "must be a text of 1 to \(most) bytes") }
        return text
    }

    func name(_ key: String) throws(FuseTreeProblem) -> String {
        guard let text = try text(key, 64) else { throw FuseTreeProblem(at(key), "is missing") }
        return text
    }

    /// A number in thousandths.
    func milli(_ key: String, _ range: ClosedRange<Int64>) throws(FuseTreeProblem) -> Int64? {
        guard let member = member(key) else { return nil }
        guard let whole = member.decimal?.multiplied(by: Decimal(1000))?.floor,
            range.contains(whole)
        else {
            throw FuseTreeProblem(
                at(key),
                "must be a number from \(range.lowerBound / 1000) to \(range.upperBound / 1000)")
        }
        return whole
    }

    func whole(_ key: String, _ range: ClosedRange<Int64>) throws(FuseTreeProblem) -> Int64? {
        guard let member = member(key) else { return nil }
        guard let whole = member.int64, range.contains(whole) else {
            throw FuseTreeProblem(
                at(key), "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return whole
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String
    ) throws(FuseTreeProblem) -> Choice? where Choice.RawValue == String {
        guard let member = member(key) else { return nil }
        guard let choice = member.string.flatMap(Choice.init(rawValue:)) else {
            let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw FuseTreeProblem(at(key), "must be one of \(known)")
        }
        return choice
    }

    func list<Element>(
        _ key: String, _ most: Int, _ read: (TreeFields) throws(FuseTreeProblem) -> Element
    ) throws(FuseTreeProblem) -> [Element] {
        guard let member = member(key) else { return [] }
        guard let items = member.array, items.count <= most else {
            throw FuseTreeProblem(at(key), "must be a list of at most \(most)")
        }
        var elements: [Element] = []
        for (index, item) in items.enumerated() {
            elements.append(try read(TreeFields(item, "\(at(key))[\(index)]")))
        }
        return elements
    }
}
