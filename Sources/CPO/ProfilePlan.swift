import Charging
import JSON

/// A charging profile as the operator wants it: as it is, or by the time of the day at its place.
package struct ProfilePlan: Hashable, Sendable {
    package enum Content: Hashable, Sendable {
        case schedule(ChargingProfile.Kind, ChargingSchedule)
        /// Windows on the wall's clock of the place. Stations repeat a day every 24 hours and know no
        /// daylight saving, so they are told absolute times, some days ahead.
        case windows([FuseTree.Window], unit: ChargingSchedule.Unit, otherwiseTenths: Int64)
    }

    package var purpose: ChargingProfile.Purpose
    package var stackLevel: Int
    package var validFrom: Timestamp?
    package var validTo: Timestamp?
    package var content: Content

    package init(
        purpose: ChargingProfile.Purpose, stackLevel: Int = 0, validFrom: Timestamp? = nil,
        validTo: Timestamp? = nil, content: Content
    ) {
        self.purpose = purpose
        self.stackLevel = stackLevel
        self.validFrom = validFrom
        self.validTo = validTo
        self.content = content
    }

    /// How far ahead windows are told; beyond, the last limit before them holds.
    package static let aheadSeconds: Int64 = 3 * 86_400
    /// Periods of one schedule; most stations take no more (ChargingScheduleMaxPeriods).
    static let mostPeriods = 24
    /// A plan by the time of the day is told for some days ahead, and anew before they are over.
    static let renewSeconds: Int64 = 86_400

    /// Its time is over: no station heeds it any more. `validTo` is exclusive.
    package func isOver(at now: Timestamp) -> Bool { validTo.map { $0 <= now } ?? false }

    /// When what was told is to be told anew; nil: not for the sake of time.
    ///
    /// Where changes come so fast that no more periods went in, already when half of them are over: the
    /// last one is the lowest of all that follow, and nobody shall have to live on it.
    func renewal(of told: ChargingSchedule, at: Timestamp) -> Timestamp? {
        guard case .windows = content else { return nil }
        let latest = at.advanced(bySeconds: Self.renewSeconds)
        guard told.periods.count >= Self.mostPeriods, let start = told.start else { return latest }
        return min(
            latest, start.advanced(bySeconds: Int64(told.periods[Self.mostPeriods / 2].start)))
    }

    /// As a station is told it now; windows for `ahead` seconds. Where these have more changes than a
    /// schedule has periods, the last period is the lowest limit of all that are left: a station nobody
    /// reaches in time draws too little and never too much.
    package func profile(
        id: Int, transaction: TransactionReference? = nil, in zone: LocalTimeRules,
        at now: Timestamp, ahead: Int64 = ProfilePlan.aheadSeconds
    ) -> ChargingProfile {
        let kind: ChargingProfile.Kind
        let schedule: ChargingSchedule
        switch content {
        case .schedule(let given, let told):
            kind = given
            schedule = told
        case .windows(let windows, let unit, let otherwise):
            kind = .absolute
            schedule = Self.schedule(windows, unit, otherwise, zone, now, ahead)
        }
        return ChargingProfile(
            id: id, stackLevel: stackLevel, purpose: purpose, kind: kind,
            transaction: purpose == .transaction ? transaction : nil, validFrom: validFrom,
            validTo: validTo, schedule: schedule)
    }

    private static func schedule(
        _ windows: [FuseTree.Window], _ unit: ChargingSchedule.Unit, _ otherwise: Int64,
        _ zone: LocalTimeRules, _ now: Timestamp, _ ahead: Int64
    ) -> ChargingSchedule {
        // On the minute, because windows are.
        let minute = now.milliseconds / 60_000
        let start = Timestamp(seconds: minute * 60)
        let limits = windows.map { ($0, Self.tenths(of: $0, in: unit)) }
        func tenths(_ moment: Timestamp) -> Int64 {
            let local = zone.local(at: moment)
            return limits.reduce(otherwise) { lowest, one in
                guard let limit = one.1, limit < lowest, one.0.holds(at: local) else {
                    return lowest
                }
                return limit
            }
        }
        var periods: [ChargingSchedule.Period] = []
        var second: Int64 = 0
        while second < ahead {
            let limit = tenths(start.advanced(bySeconds: second))
            if periods.last?.tenths != limit {
                if periods.count < mostPeriods {
                    periods.append(.init(start: Int(second), tenths: limit))
                } else {
                    periods[mostPeriods - 1].tenths = min(periods[mostPeriods - 1].tenths, limit)
                }
            }
            second += 60
        }
        return ChargingSchedule(unit: unit, periods: periods, start: start)
    }

    /// A window's limit as stations are told it; nil: it says none in this unit.
    private static func tenths(
        of window: FuseTree.Window, in unit: ChargingSchedule.Unit
    ) -> Int64? {
        switch unit {
        case .amperes: window.limit.phases.map { $0.l1.min3($0.l2, $0.l3) / 100 }
        case .watts: window.limit.watts.map { $0.value * 10 }
        }
    }
}

extension Int64 {
    fileprivate func min3(_ b: Int64, _ c: Int64) -> Int64 { Swift.min(self, b, c) }
}

// MARK: As tables and the API spell it

extension ProfilePlan {
    package var json: JSONValue {
        var members: [String: JSONValue?] = [
            "purpose": .string(purpose.rawValue), "stackLevel": .number(stackLevel),
            "validFrom": validFrom.map { .time($0) }, "validTo": validTo.map { .time($0) },
        ]
        switch content {
        case .schedule(let kind, let schedule):
            members["schedule"] = schedule.json
            switch kind {
            case .absolute: members["kind"] = "absolute"
            case .relative: members["kind"] = "relative"
            case .recurring(let each):
                members["kind"] = "recurring"
                members["recurrence"] = .string(each.rawValue)
            }
        case .windows(let windows, let unit, let otherwise):
            members["windows"] = .array(windows.map(\.json))
            members["unit"] = .string(unit.rawValue)
            members["otherwise"] = .number(
                Decimal(significand: Int128(otherwise), scale: 1).reduced)
        }
        return .given(members)
    }

    /// - Throws: `FuseTreeProblem`, which names the member.
    package init(json value: JSONValue) throws(FuseTreeProblem) {
        let fields = TreeFields(value, "")
        let purpose: ChargingProfile.Purpose = try fields.choice("purpose") ?? .transactionDefault
        let level = try fields.whole("stackLevel", 0...1_000) ?? 0
        func time(_ key: String) throws(FuseTreeProblem) -> Timestamp? {
            guard let member = value[key], !member.isNull else { return nil }
            guard let time = member.time else {
                throw FuseTreeProblem(key, "must be a time like 2026-01-31T12:00:00Z")
            }
            return time
        }
        let content: Content
        if value["windows"] != nil {
            let unit: ChargingSchedule.Unit = try fields.choice("unit") ?? .amperes
            guard let otherwise = value["otherwise"]?.tenths else {
                throw FuseTreeProblem(
                    "otherwise", "must be the limit outside the windows, in `unit`")
            }
            let windows = try fields.list("windows", FuseTree.Bounds.windows) {
                fields throws(FuseTreeProblem) in try FuseTree.Window(fields)
            }
            for (index, window) in windows.enumerated() {
                let isMissing =
                    unit == .amperes
                    ? window.limit.phases == nil : window.limit.watts == nil
                if isMissing {
                    throw FuseTreeProblem(
                        "windows[\(index)].\(unit == .amperes ? "amperes" : "watts")",
                        "is missing; windows are in `unit`")
                }
            }
            content = .windows(windows, unit: unit, otherwiseTenths: otherwise)
        } else {
            guard let schedule = value["schedule"].flatMap(ChargingSchedule.init(json:)) else {
                throw FuseTreeProblem(
                    "schedule", "must have a `unit`, A or W, and `periods` of `start` and `limit`")
            }
            content = .schedule(try Self.kind(value, fields), schedule)
        }
        self.init(
            purpose: purpose, stackLevel: Int(level), validFrom: try time("validFrom"),
            validTo: try time("validTo"), content: content)
    }

    private static func kind(
        _ value: JSONValue, _ fields: TreeFields
    ) throws(FuseTreeProblem) -> ChargingProfile.Kind {
        switch value["kind"]?.string {
        case "absolute": return .absolute
        case "relative": return .relative
        case "recurring":
            guard let each: ChargingProfile.Recurrence = try fields.choice("recurrence") else {
                throw FuseTreeProblem("recurrence", "must be Daily or Weekly")
            }
            return .recurring(each)
        default: throw FuseTreeProblem("kind", "must be absolute, recurring or relative")
        }
    }

    func flaw(connector: ConnectorNumber, hasSession: Bool) -> FuseTreeProblem? {
        let sample = profile(id: 1, in: .utc, at: Timestamp(seconds: 1_700_000_000))
        if let flaw = sample.flaw { return FuseTreeProblem("schedule", "cannot be used: \(flaw)") }
        switch purpose {
        case .stationMaximum where connector != 0:
            return FuseTreeProblem("connector", "must be 0 for a ChargePointMaxProfile")
        case .transaction where !hasSession || connector == 0:
            return FuseTreeProblem(
                "session", "must name the running charge that a TxProfile is for")
        case .stationMaximum, .transactionDefault, .transaction: return nil
        }
    }
}
