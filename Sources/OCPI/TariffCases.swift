import Charging
import JSON
import Service

/// A file of tariffs, sessions and what they cost, and the check that Kerb agrees.
///
/// The file is the project's own interchange form, one object per case: a tariff in its wire form, raw
/// segments, and expected figures as decimal strings. Each figure is computed exactly, rounded half-up
/// once to the digits its string shows, and compared for equality; there is no tolerance.
package struct TariffCases: Sendable {
    package enum Status: String, Hashable, Sendable, CaseIterable {
        case acceptance, superseded, misprint, disputed
    }

    package struct Case: Sendable {
        package var id: String
        /// What must come out; for every other status than acceptance, what must not.
        package var status: Status
        package var tariff: Tariff
        package var usage: Usage
        package var zone: String
        package var figures: [Expectation]
        package var notes: String?
    }

    /// One expected figure.
    package struct Expectation: Hashable, Sendable {
        /// `total_cost.excl_vat`, `billed.TIME_s`.
        package var name: String
        package var value: Decimal
        package var digits: Int
        package var isBilled: Bool
    }

    package var cases: [Case]

    /// - Throws: `WireError` with the path of the first field that cannot be used.
    package init(parsing bytes: [UInt8]) throws(WireError) {
        let file: JSONValue
        do {
            file = try JSONValue(parsing: bytes, limits: .file)
        } catch { throw WireError("", "not JSON: \(error)") }
        let fields = try WireFields(file, at: "")
        _ = try fields.whole("format_version", 1...1)
        cases = try fields.list("cases", atLeast: 1) { value, path throws(WireError) in
            try Case(value, at: path)
        }
        var seen: Set<String> = []
        for (index, item) in cases.enumerated() where !seen.insert(item.id).inserted {
            throw WireError("cases[\(index)].id", "\(item.id) stands twice")
        }
    }

    /// What came out for one case.
    package struct Outcome: Sendable {
        package var id: String
        package var passed: Bool
        /// One line per figure that is not as it should be, then the arithmetic.
        package var report: [String]
    }

    /// Prices every case.
    ///
    /// - Parameter zones: gives the rules of an IANA name.
    package func run(
        zones: (String) throws(WireError) -> LocalTimeRules = TariffCases.systemZone
    ) throws(WireError) -> [Outcome] {
        var outcomes: [Outcome] = []
        for (index, item) in cases.enumerated() {
            let rules: LocalTimeRules
            do throws(WireError) {
                rules = try zones(item.zone)
            } catch { throw WireError("cases[\(index)].time_zone", error.problem) }
            outcomes.append(item.outcome(item.tariff.exactCost(of: item.usage, in: rules)))
        }
        return outcomes
    }

    package static func systemZone(_ name: String) throws(WireError) -> LocalTimeRules {
        do {
            return try LocalTimeRules(tzif: ZoneInfo.load(name))
        } catch { throw WireError("time_zone", "\(error)") }
    }
}

// MARK: Comparing

extension TariffCases.Case {
    fileprivate func outcome(_ cost: ExactCost) -> TariffCases.Outcome {
        let misses = figures.filter { !agrees($0, cost) }
        let isTotalWrong = misses.contains { $0.name.hasPrefix("total_cost.") }
        let passed = status == .acceptance ? misses.isEmpty : isTotalWrong
        guard !passed else { return TariffCases.Outcome(id: id, passed: true, report: []) }
        var report: [String] = []
        if status != .acceptance {
            report.append("total_cost is the figure that must not come out (\(status.rawValue))")
        }
        for miss in misses {
            let found = figure(miss.name, cost).map { "\($0.rounded(to: miss.digits))" } ?? "none"
            report.append("\(miss.name): expected \(miss.value), got \(found)")
        }
        report += TariffArithmetic.lines(cost, tariff)
        return TariffCases.Outcome(id: id, passed: false, report: report)
    }

    private func agrees(_ expected: TariffCases.Expectation, _ cost: ExactCost) -> Bool {
        guard let found = figure(expected.name, cost) else { return false }
        if expected.isBilled { return found == Rational(expected.value) }
        return found.rounded(to: expected.digits) == expected.value
    }

    /// nil where the engine does not know it: a cost including a VAT nobody named.
    private func figure(_ name: String, _ cost: ExactCost) -> Rational? {
        switch name {
        case "billed.ENERGY_wh": return cost.billedEnergy
        case "billed.TIME_s": return cost.billedTime
        case "billed.PARKING_TIME_s": return cost.billedParking
        case "billed.RESERVATION_s": return cost.billedReservation
        default: break
        }
        let parts = name.split(separator: ".")
        let figure: ExactCost.Figure? =
            switch parts.first {
            case "total_cost": cost.total
            case "total_fixed_cost": cost.fixed
            case "total_energy_cost": cost.energy
            case "total_time_cost": cost.time
            case "total_parking_cost": cost.parking
            default: cost.reservation
            }
        // A cost that is expected but not there counts as 0.
        guard let figure else { return .zero }
        if parts.last == "incl_vat" { return figure.incl }
        // 2.3.0: `excl_vat` holds the sum of the prices as they stand, with taxes where they include them.
        return tariff.taxInclusion == .included ? figure.incl : figure.excl
    }
}

// MARK: Reading

extension TariffCases.Case {
    fileprivate init(_ value: JSONValue, at path: String) throws(WireError) {
        let fields = try WireFields(value, at: path)
        let version = try fields.choice("ocpi_version", OCPIVersion.self)
        id = try fields.text("id", max: 255)
        status = try fields.required("status", "acceptance, superseded, misprint or disputed") {
            $0.string.flatMap(TariffCases.Status.init)
        }
        zone = try fields.text("time_zone", max: 64)
        notes = try fields.optionalText("notes", max: 4096)
        guard let tariffValue = fields.members["tariff"] else {
            throw WireError(fields.at("tariff"), "is missing")
        }
        tariff = try Tariff(
            ocpi: tariffValue, version: version, owner: PartyID(country: "ZZ", party: "ZZZ"),
            at: fields.at("tariff"))
        usage = try Self.usage(try fields.fields("session"))
        figures = try Self.figures(try fields.fields("expected"))
    }

    private static func usage(_ fields: WireFields) throws(WireError) -> Usage {
        let segments = try fields.list("segments", atLeast: 1, segment)
        for (index, pair) in zip(segments, segments.dropFirst()).enumerated()
        where pair.0.end != pair.1.start {
            throw WireError(
                "\(fields.at("segments"))[\(index + 1)].start", "must be the end of the one before")
        }
        let expired = try fields.optional("reservation_expired", "true or false", \.bool) ?? false
        return Usage(segments: segments, reservationExpired: expired)
    }

    private static func segment(
        _ value: JSONValue, _ path: String
    ) throws(WireError) -> Usage.Segment {
        let fields = try WireFields(value, at: path)
        let state = try fields.required("state", "RESERVED, CHARGING or PARKING") {
            $0.string.flatMap(Usage.State.init)
        }
        let (start, end) = (try fields.time("start"), try fields.time("end"))
        guard start <= end else { throw WireError(fields.at("end"), "must not be before start") }
        let energy = try fields.number("energy_kwh")
        guard
            let microwattHours = energy.multiplied(by: Decimal(1_000_000_000))?.reduced,
            microwattHours.scale == 0, let micro = microwattHours.floor, micro >= 0
        else {
            throw WireError(
                fields.at("energy_kwh"),
                "must be a number of kWh with at most 9 digits after the point, not negative")
        }
        return Usage.Segment(
            start: start, end: end, state: state, energy: WattHours(micro / 1_000_000),
            extraMicrowattHours: micro % 1_000_000, current: try fields.optionalNumber("current_a"),
            power: try fields.optionalNumber("power_kw"))
    }

    private static let costs = [
        "total_cost", "total_fixed_cost", "total_energy_cost", "total_time_cost",
        "total_parking_cost", "total_reservation_cost",
    ]
    private static let quantities = ["ENERGY_wh", "TIME_s", "PARKING_TIME_s", "RESERVATION_s"]

    private static func figures(
        _ fields: WireFields
    ) throws(WireError) -> [TariffCases.Expectation] {
        try refuseUnknown(in: fields, but: costs + ["billed"])
        var figures: [TariffCases.Expectation] = []
        for name in costs {
            guard let cost = try fields.optionalFields(name) else {
                if name == "total_cost" { throw WireError(fields.at(name), "is missing") }
                continue
            }
            try refuseUnknown(in: cost, but: ["excl_vat", "incl_vat"])
            for part in ["excl_vat", "incl_vat"] {
                let text = try cost.optional(part, "a decimal string like \"5.63\"", decimal)
                guard let value = text else {
                    if part == "excl_vat" { throw WireError(cost.at(part), "is missing") }
                    continue
                }
                figures.append(
                    TariffCases.Expectation(
                        name: "\(name).\(part)", value: value, digits: value.scale, isBilled: false)
                )
            }
        }
        if let billed = try fields.optionalFields("billed") {
            try refuseUnknown(in: billed, but: quantities)
            for name in quantities {
                guard let value = try billed.optionalNumber(name) else { continue }
                figures.append(
                    TariffCases.Expectation(
                        name: "billed.\(name)", value: value, digits: 3, isBilled: true))
            }
        }
        return figures
    }

    private static func decimal(_ value: JSONValue) -> Decimal? {
        value.string.flatMap { Decimal($0) }.flatMap { $0.scale <= 12 ? $0 : nil }
    }

    /// A figure nobody compares would pass for checked.
    private static func refuseUnknown(
        in fields: WireFields, but known: [String]
    ) throws(WireError) {
        if let unknown = fields.members.keys.filter({ !known.contains($0) }).min() {
            throw WireError(fields.at(unknown), "is no figure Kerb computes")
        }
    }
}
