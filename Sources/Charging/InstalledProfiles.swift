/// The charging profiles a station holds, and what they come to at any moment.
///
/// The rule at one moment: of each purpose the valid profile with the highest stack level counts, one
/// for the very connector before one for connector 0 of the same level; a charge's own profile stands
/// in the place of the default; the station's maximum bounds both. OCPP 1.6 §3.13.2, §3.13.3.
package struct InstalledProfiles: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package var connector: ConnectorNumber
        package var profile: ChargingProfile
        /// The station's own number of the charge that a `.transaction` profile is for.
        package var charge: Int64?

        package init(
            connector: ConnectorNumber, profile: ChargingProfile, charge: Int64? = nil
        ) {
            self.connector = connector
            self.profile = profile
            self.charge = charge
        }
    }

    package private(set) var entries: [Entry]

    package init(_ entries: [Entry] = []) { self.entries = entries }

    /// Installs; what has the same id, or the same purpose, level and connector, goes.
    /// OCPP 1.6 §3.13.2.
    package mutating func install(_ entry: Entry) {
        entries.removeAll { $0.isReplaced(by: entry) }
        entries.append(entry)
    }

    /// What a clear removes.
    package func matching(_ filter: ProfileFilter) -> [Entry] {
        entries.filter { entry in
            if let id = filter.id { return entry.profile.id == id }
            return (filter.connector ?? entry.connector) == entry.connector
                && (filter.purpose ?? entry.profile.purpose) == entry.profile.purpose
                && (filter.stackLevel ?? entry.profile.stackLevel) == entry.profile.stackLevel
        }
    }

    package mutating func remove(ids: Set<Int>) {
        entries.removeAll { ids.contains($0.profile.id) }
    }

    /// Those that belong to a charge that is none of `charges`: their time is over.
    package func orphans(charges: Set<Int64>) -> Set<Int> {
        Set(
            entries.filter { entry in
                entry.profile.purpose == .transaction
                    && !(entry.charge.map(charges.contains) ?? false)
            }.map(\.profile.id))
    }
}

extension InstalledProfiles.Entry {
    package func isReplaced(by other: Self) -> Bool {
        profile.id == other.profile.id
            || profile.purpose == other.profile.purpose && connector == other.connector
                && profile.stackLevel == other.profile.stackLevel
    }
}

// MARK: What counts at one moment

extension InstalledProfiles {
    /// Whom a limit is asked for.
    package struct Question: Hashable, Sendable {
        package var connector: ConnectorNumber
        /// The station's own number of the running charge; nil while there is none.
        package var charge: Int64?
        /// What relative profiles count from; without a charge they count from `otherwise`.
        package var chargeStart: Timestamp
        package var supply: ChargingSupply
        /// The time of the place, for recurring profiles.
        package var zone: LocalTimeRules

        package init(
            connector: ConnectorNumber, charge: Int64? = nil, chargeStart: Timestamp,
            supply: ChargingSupply = .standard, zone: LocalTimeRules = .utc
        ) {
            self.connector = connector
            self.charge = charge
            self.chargeStart = chargeStart
            self.supply = supply
            self.zone = zone
        }
    }

    /// The limit in force, and whose it is.
    package struct Limit: Hashable, Sendable {
        package var limit: Amperes
        package var profile: Int
        package var purpose: ChargingProfile.Purpose

        package init(limit: Amperes, profile: Int, purpose: ChargingProfile.Purpose) {
            self.limit = limit
            self.profile = profile
            self.purpose = purpose
        }
    }

    /// What holds from a moment on, and until when it cannot change; nil: for ever.
    package struct Piece: Hashable, Sendable {
        package var limit: Limit?
        package var until: Timestamp?
    }

    /// The limit of a connector at a moment, the station's maximum included; connector 0 is the
    /// station itself, which has no other limit than its maximum.
    package func piece(at moment: Timestamp, _ question: Question) -> Piece {
        let maximum = winner(.stationMaximum, at: moment, question)
        guard question.connector != 0 else { return maximum }
        let own = winner(.transaction, at: moment, question)
        let standard = winner(.transactionDefault, at: moment, question)
        let until = [maximum.until, own.until, standard.until].compactMap(\.self).min()
        let charge = own.limit ?? standard.limit
        guard let charge, let cap = maximum.limit else {
            return Piece(limit: charge ?? maximum.limit, until: until)
        }
        return Piece(limit: cap.limit < charge.limit ? cap : charge, until: until)
    }

    private func winner(
        _ purpose: ChargingProfile.Purpose, at moment: Timestamp, _ question: Question
    ) -> Piece {
        var best: (rank: (Int, Int), limit: Limit)?
        var until: Timestamp?
        for entry in entries where entry.profile.purpose == purpose && entry.concerns(question) {
            let (tenths, change) = entry.profile.tenths(at: moment, question)
            if let change { until = min(until ?? change, change) }
            guard let tenths else { continue }
            let rank = (entry.profile.stackLevel, entry.connector == 0 ? 0 : 1)
            guard rank > best?.rank ?? (-1, -1) else { continue }
            let unit = entry.profile.schedule.unit
            best = (
                rank,
                Limit(
                    limit: question.supply.amperes(tenths: tenths, of: unit),
                    profile: entry.profile.id, purpose: purpose)
            )
        }
        return Piece(limit: best?.limit, until: until)
    }
}

extension InstalledProfiles.Entry {
    fileprivate func concerns(_ question: InstalledProfiles.Question) -> Bool {
        switch profile.purpose {
        case .stationMaximum: true
        case .transactionDefault: connector == 0 || connector == question.connector
        case .transaction:
            connector == question.connector && charge != nil && charge == question.charge
        }
    }
}

extension ChargingProfile {
    /// The limit at a moment, in tenths of the schedule's unit, and the next moment at which it may
    /// change; nil where there is no limit, where nothing changes any more.
    fileprivate func tenths(
        at moment: Timestamp, _ question: InstalledProfiles.Question
    ) -> (Int64?, Timestamp?) {
        if let validFrom, moment < validFrom { return (nil, validFrom) }
        if let validTo, moment >= validTo { return (nil, nil) }
        func bounded(_ next: Timestamp?) -> Timestamp? { [next, validTo].compactMap(\.self).min() }
        guard let run = run(at: moment, question) else { return (nil, bounded(nil)) }
        guard moment >= run.start else { return (nil, bounded(run.start)) }
        let elapsed = moment.milliseconds(since: run.start)
        if let duration = schedule.durationSeconds, elapsed >= Int64(duration) * 1000 {
            return (nil, bounded(run.next))
        }
        let present = schedule.periods.lastIndex { Int64($0.start) * 1000 <= elapsed }
        guard let present else { return (nil, bounded(run.next)) }
        var next = run.next
        let ends =
            present + 1 < schedule.periods.count
            ? schedule.periods[present + 1].start : schedule.durationSeconds
        if let ends {
            // A schedule that is over before its next period begins ends first.
            let least = min(ends, schedule.durationSeconds ?? ends)
            let end = run.start.advanced(bySeconds: Int64(least))
            next = min(next ?? end, end)
        }
        return (schedule.periods[present].tenths, bounded(next))
    }

    /// The run of the schedule that holds at a moment, or the first to come, and when the next begins.
    private func run(
        at moment: Timestamp, _ question: InstalledProfiles.Question
    ) -> (start: Timestamp, next: Timestamp?)? {
        switch kind {
        case .relative: return (question.chargeStart, nil)
        case .absolute: return schedule.start.map { ($0, nil) }
        case .recurring(let recurrence):
            guard let anchor = schedule.start else { return nil }
            return question.zone.recurrence(of: anchor, every: recurrence.days, at: moment)
        }
    }
}

extension LocalTimeRules {
    /// The latest time at or before `moment` at which the wall's clock shows what it showed at `anchor`,
    /// `days` or a multiple later; `anchor` itself before it was reached. And the one after it.
    package func recurrence(
        of anchor: Timestamp, every days: Int64, at moment: Timestamp
    ) -> (start: Timestamp, next: Timestamp?) {
        let shown = localSeconds(at: anchor)
        let anchorDay = Self.floorDivide(shown, 86_400)
        let second = shown - anchorDay * 86_400
        // Below a second the clock of every zone shows the same.
        let rest = anchor.milliseconds - Self.floorDivide(anchor.milliseconds, 1000) * 1000
        func start(_ day: Int64) -> Timestamp {
            day == anchorDay
                ? anchor
                : self.moment(localSeconds: day * 86_400 + second).advanced(byMilliseconds: rest)
        }
        guard moment >= anchor else { return (anchor, start(anchorDay + days)) }
        let today = Self.floorDivide(localSeconds(at: moment), 86_400)
        var day = max(anchorDay, today - (today - anchorDay) % days)
        if start(day) > moment { day = max(anchorDay, day - days) }
        // Where the clock is set back over midnight a day shows twice.
        while start(day + days) <= moment { day += days }
        return (start(day), start(day + days))
    }

    /// Seconds since 1970-01-01 as the wall's clock counts them.
    private func localSeconds(at moment: Timestamp) -> Int64 {
        Self.floorDivide(min(max(moment, .earliest), .latest).milliseconds, 1000)
            + Int64(offsetSeconds(at: moment))
    }

    /// The first moment at which the wall's clock shows this; where it jumps over it, the jump.
    private func moment(localSeconds: Int64) -> Timestamp {
        let before = Int64(offsetSeconds(at: Timestamp(seconds: localSeconds - 86_400)))
        let after = Int64(offsetSeconds(at: Timestamp(seconds: localSeconds + 86_400)))
        for offset in [max(before, after), min(before, after)] {
            let candidate = Timestamp(seconds: localSeconds - offset)
            if Int64(offsetSeconds(at: candidate)) == offset { return candidate }
        }
        let jump = nextTransition(after: Timestamp(seconds: localSeconds - max(before, after)))
        return jump ?? Timestamp(seconds: localSeconds - before)
    }
}

// MARK: Over a span of time

extension InstalledProfiles {
    /// Changes that one composite schedule is reckoned over; beyond, it ends earlier than asked.
    package static let mostPieces = 1_024

    /// What a connector expects to be allowed from `start` on, in as few periods as say it.
    ///
    /// - `most`: what the connector carries where no profile says less.
    package func composite(
        from start: Timestamp, seconds: Int, _ question: Question, most: Amperes,
        unit: ChargingSchedule.Unit
    ) -> CompositeSchedule {
        let end = start.advanced(bySeconds: Int64(seconds))
        var periods: [ChargingSchedule.Period] = []
        var moment = start
        var pieces = 0
        while moment < end, pieces < Self.mostPieces {
            let piece = piece(at: moment, question)
            let limit = min(most, piece.limit?.limit ?? most)
            let period = ChargingSchedule.Period(
                start: Int(moment.seconds(since: start)),
                tenths: question.supply.tenths(of: limit, in: unit), phases: question.supply.phases)
            Self.append(period, to: &periods)
            pieces += 1
            guard let until = piece.until, until > moment else {
                moment = end
                break
            }
            moment = until
        }
        return CompositeSchedule(
            connector: question.connector, start: start,
            schedule: ChargingSchedule(
                unit: unit, periods: periods,
                durationSeconds: Int(min(moment, end).seconds(since: start)), start: start))
    }

    /// A period of less than a second gives way; one that changes nothing is none.
    private static func append(
        _ period: ChargingSchedule.Period, to periods: inout [ChargingSchedule.Period]
    ) {
        if periods.last?.start == period.start { periods.removeLast() }
        if let last = periods.last, last.tenths == period.tenths, last.phases == period.phases {
            return
        }
        periods.append(period)
    }
}

extension CompositeSchedule {
    /// The sum of several connectors' schedules from one start, bounded by `cap`: what the station
    /// expects to draw. OCPP 1.6 §5.7 for connector 0.
    package static func sum(
        of parts: [CompositeSchedule], bounded cap: CompositeSchedule
    ) -> CompositeSchedule {
        let all = parts + [cap]
        let seconds = all.compactMap(\.schedule.durationSeconds).min() ?? 0
        let starts = Set(all.flatMap { $0.schedule.periods.map(\.start) })
            .filter { $0 < seconds }.sorted()
        var periods: [ChargingSchedule.Period] = []
        for start in starts {
            let total = parts.reduce(Int64(0)) { $0 + ($1.schedule.tenths(at: start) ?? 0) }
            let tenths = min(total, cap.schedule.tenths(at: start) ?? total)
            if let last = periods.last, last.tenths == tenths { continue }
            periods.append(
                .init(start: start, tenths: tenths, phases: cap.schedule.periods.first?.phases))
        }
        var schedule = cap.schedule
        schedule.periods = periods
        schedule.durationSeconds = seconds
        return CompositeSchedule(connector: 0, start: cap.start, schedule: schedule)
    }
}

extension ChargingSchedule {
    /// The limit so many seconds after the start, in tenths.
    package func tenths(at second: Int) -> Int64? {
        periods.last { $0.start <= second }?.tenths
    }
}
