import Charging
import SQL
import Service

// Profiles that stations are told beside the sharing.

extension GridControl {
    /// What stations are to be told now of their profiles.
    func dueProfiles(_ house: ChargePointOperator) async throws -> [StationProfiles.Errand] {
        let due = state.withLock { state in
            // Whoever is being told one is looked at again once it has answered.
            state.holders.takeDue(at: clock.monotonicMilliseconds, most: Self.mostLooks)
                .filter { !state.telling.contains($0) }
        }
        guard !due.isEmpty else { return [] }
        let now = clock.now
        var looks = try await house.read { [self] transaction in
            try due.map { ($0, try profiles.look($0, at: now, asked(house), in: transaction)) }
        }
        let unswept = looks.filter(\.1.isToBeSwept).map(\.0)
        if !unswept.isEmpty {
            looks.removeAll { $0.1.isToBeSwept }
            looks += try await house.write { [self] transaction in
                try unswept.map { station in
                    try profiles.sweep(station, at: now, asked(house), in: transaction)
                    return (
                        station,
                        try profiles.look(station, at: now, asked(house), in: transaction)
                    )
                }
            }
        }
        return took(looks)
    }

    /// Notes when stations are looked at again.
    private func took(_ looks: [(String, StationProfiles.Look)]) -> [StationProfiles.Errand] {
        let now = moment
        return state.withLock { state in
            looks.compactMap { station, look in
                if let errand = look.errand {
                    state.telling.insert(station)
                    return errand
                }
                if look.isEmpty { return nil }
                let latest = now.monotonic + Self.longestRestMilliseconds
                let next = look.next.map { now.monotonic + $0.milliseconds(since: now.time) }
                state.holders.hasten(station, at: min(next ?? latest, latest))
                return nil
            }
        }
    }

    /// It has been told, or not: its next profile may be.
    func hasTold(_ station: String) {
        let now = clock.monotonicMilliseconds
        state.withLock { state in
            state.telling.remove(station)
            state.holders.hasten(station, at: now)
        }
    }

    private func asked(_ house: ChargePointOperator) -> StationProfiles.House {
        StationProfiles.House(
            isRunning: { house.sessions.isRunning($0) }, isKept: { self.isKept($0) },
            shared: { self.sites.outlets(of: $0) })
    }

    /// A profile that would stand above what we tell a shared connector is not sent: it is a bound in
    /// the sharing instead. A station's maximum lowers only, so it is both.
    private func isKept(_ record: StationProfiles.Record) -> Bool {
        guard record.plan.purpose != .stationMaximum else { return false }
        if record.connector == 0 { return !sites.outlets(of: record.station).isEmpty }
        return sites.site(of: OutletID(record.station, record.connector)) != nil
    }
}
