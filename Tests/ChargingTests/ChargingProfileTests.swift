import Charging
import TestSupport
import Testing

@Suite struct `A composite schedule` {
    private static let berlin = try! zone("CET-1CEST,M3.5.0,M10.5.0/3")
    private static let most = Amperes(32)

    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func `says at every instant what the rule says`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let around = at("2026-10-24T08:00:00Z")
        let profiles = InstalledProfiles.random(around, &random)
        let question = InstalledProfiles.Question(
            connector: 1, charge: 7,
            chargeStart: around.advanced(bySeconds: .random(in: -40_000...40_000, using: &random)),
            supply: ChargingSupply(phases: .random(in: 1...3, using: &random)), zone: Self.berlin)
        let start = around.advanced(bySeconds: .random(in: -90_000...90_000, using: &random))
        let composite = profiles.composite(
            from: start, seconds: 200_000, question, most: Self.most, unit: .amperes)
        let length = composite.schedule.durationSeconds ?? 0
        #expect(length == 200_000)
        for _ in 0..<60 {
            let second = Int.random(in: 0..<length, using: &random)
            let moment = start.advanced(bySeconds: Int64(second))
            let naive = min(
                Self.most, profiles.naiveLimit(at: moment, question) ?? Self.most)
            #expect(
                composite.schedule.tenths(at: second) == naive.milliamperes / 100,
                "seed \(seed) at \(moment)")
        }
    }

    @Test func `has no two neighbouring periods that say the same`() {
        var random = SeededGenerator(seed: 5)
        let profiles = InstalledProfiles.random(at("2026-06-01T00:00:00Z"), &random)
        let composite = profiles.composite(
            from: at("2026-06-01T00:00:00Z"), seconds: 100_000,
            .init(connector: 1, chargeStart: at("2026-06-01T00:00:00Z")), most: Self.most,
            unit: .watts)
        let periods = composite.schedule.periods
        #expect(periods.first?.start == 0)
        #expect(zip(periods, periods.dropFirst()).allSatisfy { $0.tenths != $1.tenths })
    }

    @Test func `starts a daily profile at the same time of the wall's clock in summer and winter`()
    {
        let profile = ChargingProfile(
            id: 1, stackLevel: 0, purpose: .transactionDefault, kind: .recurring(.daily),
            schedule: ChargingSchedule(
                unit: .amperes,
                periods: [.init(start: 0, tenths: 60), .init(start: 3600, tenths: 160)],
                start: at("2026-10-20T22:00:00Z")))
        let installed = InstalledProfiles([.init(connector: 0, profile: profile)])
        let question = InstalledProfiles.Question(
            connector: 1, chargeStart: at("2026-10-20T22:00:00Z"), zone: Self.berlin)
        func tenths(_ moment: String) -> Int64? {
            installed.piece(at: at(moment), question).limit.map { $0.limit.milliamperes / 100 }
        }
        #expect(tenths("2026-10-24T22:30:00Z") == 60)
        // The night of the change: midnight of the next day is an hour later in UTC.
        #expect(tenths("2026-10-25T22:30:00Z") == 160)
        #expect(tenths("2026-10-25T23:30:00Z") == 60)
        #expect(tenths("2026-10-20T21:59:59Z") == nil)
    }

    @Test func `begins at the jump what the wall's clock leaps over, and once what it shows twice`()
    {
        let spring = Self.berlin.recurrence(
            of: at("2026-03-27T01:30:00Z"), every: 1, at: at("2026-03-29T10:00:00Z"))
        #expect(spring.start == at("2026-03-29T01:00:00Z"))
        #expect(spring.next == at("2026-03-30T00:30:00Z"))
        let autumn = Self.berlin.recurrence(
            of: at("2026-10-20T00:30:00Z"), every: 1, at: at("2026-10-25T01:45:00Z"))
        #expect(autumn.start == at("2026-10-25T00:30:00Z"))
        #expect(autumn.next == at("2026-10-26T01:30:00Z"))
    }

    @Test func `ends early rather than reckon for ever`() {
        let minutes = (0..<1440).map {
            ChargingSchedule.Period(start: $0 * 60, tenths: Int64(60 + $0 % 2))
        }
        let profile = ChargingProfile(
            id: 1, stackLevel: 0, purpose: .transactionDefault, kind: .recurring(.daily),
            schedule: ChargingSchedule(
                unit: .amperes, periods: minutes, start: at("2026-01-01T00:00:00Z")))
        let composite = InstalledProfiles([.init(connector: 1, profile: profile)]).composite(
            from: at("2026-06-01T00:00:00Z"), seconds: 31_536_000,
            .init(connector: 1, chargeStart: at("2026-06-01T00:00:00Z")), most: Self.most,
            unit: .amperes)
        #expect(composite.schedule.periods.count == InstalledProfiles.mostPieces)
        #expect(composite.schedule.durationSeconds == InstalledProfiles.mostPieces * 60)
    }

    @Test func `of the station is the connectors' sum, bounded by its maximum`() {
        func part(_ connector: Int, _ tenths: [Int64]) -> CompositeSchedule {
            CompositeSchedule(
                connector: connector, start: at("2026-06-01T00:00:00Z"),
                schedule: ChargingSchedule(
                    unit: .amperes,
                    periods: tenths.enumerated().map { .init(start: $0 * 100, tenths: $1) },
                    durationSeconds: 300))
        }
        let sum = CompositeSchedule.sum(
            of: [part(1, [100, 200, 200]), part(2, [100, 100, 300])], bounded: part(0, [250]))
        #expect(sum.schedule.periods.map(\.tenths) == [200, 250])
        #expect(sum.schedule.periods.map(\.start) == [0, 100])
    }
}

@Suite struct `Installed charging profiles` {
    @Test func `replace what has the same id, or the same purpose, level and connector`() {
        var installed = InstalledProfiles()
        installed.install(.init(connector: 1, profile: .simple(id: 1, tenths: 100)))
        installed.install(.init(connector: 1, profile: .simple(id: 2, tenths: 110)))
        #expect(installed.entries.map(\.profile.id) == [2])
        installed.install(.init(connector: 2, profile: .simple(id: 3, tenths: 120)))
        installed.install(.init(connector: 1, profile: .simple(id: 4, level: 1, tenths: 130)))
        #expect(installed.entries.map(\.profile.id) == [2, 3, 4])
        installed.install(.init(connector: 2, profile: .simple(id: 4, level: 5, tenths: 140)))
        #expect(installed.entries.map(\.profile.id) == [2, 3, 4])
        #expect(installed.entries.last?.connector == 2)
    }

    @Test func `are found by id alone, or by all that else is named`() {
        let installed = InstalledProfiles([
            .init(connector: 1, profile: .simple(id: 1, tenths: 100)),
            .init(connector: 1, profile: .simple(id: 2, level: 1, tenths: 100)),
            .init(connector: 2, profile: .simple(id: 3, level: 1, tenths: 100)),
        ])
        func ids(_ filter: ProfileFilter) -> [Int] {
            installed.matching(filter).map(\.profile.id)
        }
        #expect(ids(ProfileFilter()) == [1, 2, 3])
        #expect(ids(ProfileFilter(id: 2, connector: 9)) == [2])
        #expect(ids(ProfileFilter(connector: 1, stackLevel: 1)) == [2])
        #expect(ids(ProfileFilter(purpose: .transaction)) == [])
    }

    @Test func `count the level, then the connector, and a charge's own before the default`() {
        var installed = InstalledProfiles([
            .init(connector: 0, profile: .simple(id: 1, level: 1, tenths: 100)),
            .init(connector: 1, profile: .simple(id: 2, level: 0, tenths: 200)),
        ])
        let question = InstalledProfiles.Question(
            connector: 1, charge: 5, chargeStart: at("2026-01-01T00:00:00Z"))
        func winner() -> Int? {
            installed.piece(at: at("2026-06-01T00:00:00Z"), question).limit?.profile
        }
        #expect(winner() == 1)
        installed.install(.init(connector: 1, profile: .simple(id: 3, level: 1, tenths: 300)))
        #expect(winner() == 3)
        var own = ChargingProfile.simple(id: 4, tenths: 250)
        own.purpose = .transaction
        installed.install(.init(connector: 1, profile: own, charge: 6))
        #expect(winner() == 3)
        installed.install(.init(connector: 1, profile: own, charge: 5))
        #expect(winner() == 4)
        var cap = ChargingProfile.simple(id: 5, tenths: 240)
        cap.purpose = .stationMaximum
        installed.install(.init(connector: 0, profile: cap))
        #expect(winner() == 5)
        #expect(installed.orphans(charges: [6]) == [4])
    }

    @Test func `are refused when they mean nothing`() {
        var good = ChargingProfile.simple(id: 1, tenths: 100)
        #expect(good.flaw == nil)
        good.schedule.periods = []
        #expect(good.flaw != nil)
        good.schedule.periods = [.init(start: 1, tenths: 100)]
        #expect(good.flaw != nil)
        good.schedule.periods = [.init(start: 0, tenths: 100), .init(start: 0, tenths: 90)]
        #expect(good.flaw != nil)
        good.schedule.periods = [.init(start: 0, tenths: 100, phases: 4)]
        #expect(good.flaw != nil)
        good.schedule.periods = [.init(start: 0, tenths: .max)]
        #expect(good.flaw != nil)
        good = .simple(id: 1, tenths: 100)
        good.schedule.start = nil
        #expect(good.flaw != nil)
        good.kind = .relative
        #expect(good.flaw == nil)
        good.purpose = .stationMaximum
        #expect(good.flaw != nil)
    }
}

@Suite struct `A supply` {
    @Test func `turns watts into amperes over all its phases, rounded down`() {
        let three = ChargingSupply(phases: 3)
        #expect(three.amperes(tenths: 110_400, of: .watts) == Amperes(16))
        #expect(three.amperes(tenths: 110_399, of: .watts) == Amperes(milliamperes: 15_999))
        #expect(ChargingSupply(phases: 1).amperes(tenths: 36_800, of: .watts) == Amperes(16))
        #expect(three.amperes(tenths: 163, of: .amperes) == Amperes(milliamperes: 16_300))
        #expect(three.tenths(of: Amperes(16), in: .watts) == 110_400)
        #expect(three.tenths(of: Amperes(milliamperes: 16_399), in: .amperes) == 163)
    }
}

extension ChargingProfile {
    /// One limit for ever, for every charge.
    static func simple(id: Int, level: Int = 0, tenths: Int64) -> ChargingProfile {
        ChargingProfile(
            id: id, stackLevel: level, purpose: .transactionDefault, kind: .absolute,
            schedule: ChargingSchedule(
                unit: .amperes, periods: [.init(start: 0, tenths: tenths)],
                start: at("2026-01-01T00:00:00Z")))
    }
}

extension InstalledProfiles {
    /// Any profiles, with whole minutes and wall's times that no clock leaps over.
    static func random(_ around: Timestamp, _ random: inout SeededGenerator) -> InstalledProfiles {
        var installed = InstalledProfiles()
        for id in 1...Int.random(in: 1...9, using: &random) {
            let purpose = ChargingProfile.Purpose.allCases.randomElement(using: &random)!
            let minute = Int64.random(in: -3_000...3_000, using: &random)
            // 04:00 to 21:59 UTC of some day: far from every change.
            let day = Int64.random(in: -15...2, using: &random) * 1440
            let start = Timestamp(
                seconds: (around.milliseconds / 86_400_000 * 1440 + day
                    + .random(in: 240...1_300, using: &random)) * 60)
            var kinds: [ChargingProfile.Kind] = [
                .absolute, .recurring(.daily), .recurring(.weekly),
            ]
            if purpose != .stationMaximum { kinds.append(.relative) }
            var starts: Set<Int> = [0]
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                starts.insert(.random(in: 1...50_000, using: &random))
            }
            func some<Value>(_ value: Value) -> Value? {
                Bool.random(using: &random) ? value : nil
            }
            let unit = ChargingSchedule.Unit.allCases.randomElement(using: &random)!
            let from = around.advanced(bySeconds: minute * 60)
            let validFrom = some(from)
            let validTo = some(
                from.advanced(bySeconds: .random(in: 60...150_000, using: &random)))
            let duration = some(Int.random(in: 1...90_000, using: &random))
            let periods = starts.sorted().map {
                ChargingSchedule.Period(
                    start: $0,
                    tenths: unit == .amperes
                        ? .random(in: 0...350, using: &random)
                        : .random(in: 0...220_000, using: &random))
            }
            installed.install(
                .init(
                    connector: purpose == .stationMaximum
                        ? 0
                        : purpose == .transaction ? 1 : .random(in: 0...2, using: &random),
                    profile: ChargingProfile(
                        id: id, stackLevel: .random(in: 0...3, using: &random), purpose: purpose,
                        kind: kinds.randomElement(using: &random)!, validFrom: validFrom,
                        validTo: validTo,
                        schedule: ChargingSchedule(
                            unit: unit, periods: periods, durationSeconds: duration, start: start)),
                    charge: purpose == .transaction ? .random(in: 6...7, using: &random) : nil))
        }
        return installed
    }

    /// The rule as it stands in the specification, for one instant, by looking minute by minute.
    func naiveLimit(at moment: Timestamp, _ question: Question) -> Amperes? {
        func best(_ purpose: ChargingProfile.Purpose) -> Amperes? {
            let fitting = entries.filter { entry in
                entry.profile.purpose == purpose
                    && (purpose != .transaction || entry.charge == question.charge)
                    && (entry.connector == 0 || entry.connector == question.connector)
                    && entry.profile.naiveTenths(at: moment, question) != nil
            }
            let first = fitting.max {
                ($0.profile.stackLevel, min(1, $0.connector))
                    < ($1.profile.stackLevel, min(1, $1.connector))
            }
            guard let first, let tenths = first.profile.naiveTenths(at: moment, question) else {
                return nil
            }
            switch first.profile.schedule.unit {
            case .amperes: return Amperes(milliamperes: tenths * 100)
            case .watts:
                return Amperes(
                    milliamperes: tenths * 100 / (230 * Int64(question.supply.phases)))
            }
        }
        let limits = [best(.transaction) ?? best(.transactionDefault), best(.stationMaximum)]
        return limits.compactMap(\.self).min()
    }
}

extension ChargingProfile {
    fileprivate func naiveTenths(
        at moment: Timestamp, _ question: InstalledProfiles.Question
    ) -> Int64? {
        if let validFrom, moment < validFrom { return nil }
        if let validTo, moment >= validTo { return nil }
        guard let anchor = schedule.start else { return nil }
        var start: Timestamp
        switch kind {
        case .relative: start = question.chargeStart
        case .absolute: start = anchor
        case .recurring(let recurrence):
            guard moment >= anchor else { return nil }
            let wanted = question.zone.local(at: anchor)
            start = Timestamp(seconds: moment.milliseconds / 60_000 * 60)
            while true {
                let shown = question.zone.local(at: start)
                if shown.minutes == wanted.minutes,
                    recurrence == .daily || shown.weekday == wanted.weekday
                {
                    break
                }
                // Far away in strides, near by in minutes: no clock jumps by more than an hour.
                let ahead = (shown.minutes - wanted.minutes + 1440) % 1440
                let back = ahead == 0 ? 1_380 : ahead > 120 ? ahead - 61 : 1
                start = start.advanced(bySeconds: -60 * Int64(back))
            }
        }
        let elapsed = moment.seconds(since: start)
        guard moment >= start, elapsed < Int64(schedule.durationSeconds ?? .max) else { return nil }
        return schedule.periods.last { Int64($0.start) <= elapsed }?.tenths
    }
}
