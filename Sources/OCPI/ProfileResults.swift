import CPO
import Charging
import HTTPClient
import JSON
import SQL
import Service

/// What we owe partners about charging profiles: one result for each request, and news of what holds
/// for charges they once put a profile to.
final class ProfileResults: Sendable {
    enum Kind: String, Hashable, Sendable { case put, clear, get }

    struct Promise: Hashable, Sendable {
        var id: String
        var peer: String
        var kind: Kind
        var session: String
        var station: String
        var party: PartyID?
        var profile: Int?
        var command: String?
        var unit: ChargingSchedule.Unit?
        var responseURL: String
        var expiresAt: Timestamp
        /// It is known already, because a later request came before it was told.
        var result: ProfileResult?
    }

    /// A charge whose partner hears of every change.
    struct Watch: Hashable, Sendable {
        var session: String
        var peer: String
        var unit: ChargingSchedule.Unit
    }

    private struct State {
        var isAnyExpected = true
        var generation = 0
        /// When a session's last profile came.
        var puts: [String: Int64] = [:]
        /// From when on a session's requests are so few again that all may come at once.
        var asked: [String: Int64] = [:]
        /// What a partner was last told, and when to try again after a failure.
        var pushed: [Watch: CompositeSchedule] = [:]
        var restsUntil: [Watch: Int64] = [:]
    }

    private let state = Lock(State())

    /// nil while nothing is owed; else what `settle` wants back.
    var expected: Int? { state.withLock { $0.isAnyExpected ? $0.generation : nil } }

    func expect() {
        state.withLock { state in
            state.isAnyExpected = true
            state.generation += 1
        }
    }

    func settle(_ generation: Int) {
        state.withLock { if $0.generation == generation { $0.isAnyExpected = false } }
    }

    func mayPut(_ session: String, at now: Int64) -> Bool {
        state.withLock { state in
            state.puts = state.puts.filter {
                now - $0.value < OCPIDoor.profileSpacingMilliseconds
            }
            guard state.puts[session] == nil else { return false }
            state.puts[session] = now
            return true
        }
    }

    /// Counts a request of any kind, unless there were too many of late.
    func mayAsk(_ session: String, at now: Int64) -> Bool {
        let (spacing, most) = (
            OCPIDoor.profileSpacingMilliseconds, OCPIDoor.profileRequestsAtOnce
        )
        return state.withLock { state in
            state.asked = state.asked.filter { $0.value > now }
            let free = max(now, state.asked[session] ?? now) + spacing
            guard free - now <= most * spacing else { return false }
            state.asked[session] = free
            return true
        }
    }

    func lastPushed(_ watch: Watch) -> CompositeSchedule? { state.withLock { $0.pushed[watch] } }

    func pushed(_ watch: Watch, _ schedule: CompositeSchedule) {
        state.withLock { $0.pushed[watch] = schedule }
    }

    func rests(_ watch: Watch, at now: Int64) -> Bool {
        state.withLock { $0.restsUntil[watch].map { now < $0 } ?? false }
    }

    func rest(_ watch: Watch, until: Int64) { state.withLock { $0.restsUntil[watch] = until } }

    func forget(_ watch: Watch) {
        state.withLock { state in
            state.pushed[watch] = nil
            state.restsUntil[watch] = nil
        }
    }
}

extension ProfileResults.Promise {
    init(row: Row) throws {
        let party = try row.text("party").split(separator: "*", maxSplits: 1)
        self.init(
            id: try row.text("id"), peer: try row.text("peer"),
            kind: ProfileResults.Kind(rawValue: try row.text("kind")) ?? .get,
            session: try row.text("session"), station: try row.text("station"),
            party: party.count == 2
                ? PartyID(country: String(party[0]), party: String(party[1])) : nil,
            profile: try row.int64OrNil("profile").map(Int.init),
            command: try row.textOrNil("command"),
            unit: try row.textOrNil("unit").flatMap(ChargingSchedule.Unit.init(rawValue:)),
            responseURL: try row.text("response_url"),
            expiresAt: try row.timestamp("expires_at"),
            result: try row.textOrNil("result").flatMap(ProfileResult.init(rawValue:)))
    }
}

extension OCPIDoor {
    /// How far ahead a partner is told what holds, and how long before its end it is told anew.
    static let activeProfileSeconds = 1800
    static let activeProfileMarginSeconds: Int64 = 300
    static let activeProfileTickMilliseconds: Int64 = 2000
    /// Between two attempts at a partner that does not take the news.
    static let activeProfileRestMilliseconds: Int64 = 30_000

    // MARK: Results

    func runProfileResults() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                try await house.clock.sleep(milliseconds: Self.resultTickMilliseconds)
                guard let generation = profileResults.expected else { continue }
                let promises = try await house.read { transaction in
                    try transaction.query(
                        "SELECT * FROM ocpi_profile_promise ORDER BY created_at"
                    ).map(ProfileResults.Promise.init(row:))
                }
                for promise in promises {
                    guard let (found, profile) = try await outcome(of: promise),
                        let result = try await claim(promise, found)
                    else { continue }
                    group.addTask { await self.bring(result, profile, to: promise) }
                }
                if promises.isEmpty { profileResults.settle(generation) }
            }
        }
    }

    /// What became of a request; nil while nobody knows.
    private func outcome(
        of promise: ProfileResults.Promise
    ) async throws -> (ProfileResult, CompositeSchedule?)? {
        if let result = promise.result { return (result, nil) }
        let isLate = house.clock.now >= promise.expiresAt
        switch promise.kind {
        case .put, .clear:
            guard let number = promise.profile else { return (.unknown, nil) }
            let record = try await house.read { [house] in
                try house.profiles.find(number, in: $0)
            }
            switch (promise.kind, record?.state) {
            case (.put, .told), (.put, .kept): return (.accepted, nil)
            case (.put, .refused), (.put, .withdrawn), (.put, nil): return (.rejected, nil)
            case (.clear, .withdrawn): return isLate ? (.rejected, nil) : nil
            case (.clear, _): return (.accepted, nil)
            default: return isLate ? (.rejected, nil) : nil
            }
        case .get:
            guard let id = promise.command, let command = try await house.commands.command(id)
            else { return (.rejected, nil) }
            guard command.state.isSettled else { return isLate ? (.rejected, nil) : nil }
            // An answer that is no schedule is none.
            guard let answer = command.answer.flatMap({ try? JSONValue(parsing: $0) }),
                let schedule = answer["schedule"].flatMap(ChargingSchedule.init(json:)),
                let start = answer["start"]?.time
            else { return (command.state == .rejected ? .unknown : .rejected, nil) }
            return (
                .accepted,
                CompositeSchedule(
                    connector: answer["connector"]?.int ?? 0, start: start, schedule: schedule)
            )
        }
    }

    /// Takes the promise off the list before its result is sent: it is never sent twice. A profile that
    /// was not taken in time must not come into force after its partner heard so.
    ///
    /// - Returns: what to tell, which a later request may have decided meanwhile; nil: nothing more.
    private func claim(
        _ promise: ProfileResults.Promise, _ found: ProfileResult
    ) async throws -> ProfileResult? {
        let now = house.clock.now
        return try await house.write { [house] transaction in
            guard
                let row = try transaction.queryOne(
                    "DELETE FROM ocpi_profile_promise WHERE id = ? RETURNING result", promise.id)
            else { return nil }
            let decided = try row.textOrNil("result").flatMap(ProfileResult.init(rawValue:))
            let result = decided ?? found
            guard promise.kind == .put else { return result }
            if result == .accepted {
                try transaction.execute(
                    """
                    INSERT INTO ocpi_profile_watch (session, peer, unit) VALUES (?, ?, ?)
                    ON CONFLICT (session, peer) DO UPDATE SET unit = excluded.unit
                    """, promise.session, promise.peer, (promise.unit ?? .amperes).rawValue)
            } else if decided == nil {
                // Else it is the later one's profile that stands there.
                _ = try house.profiles.withdraw(
                    promise.station, name: Self.profileName(promise.session), at: now,
                    in: transaction)
            }
            return result
        }
    }

    private func bring(
        _ result: ProfileResult, _ profile: CompositeSchedule?, to promise: ProfileResults.Promise
    ) async {
        guard let peer = peers.peer(promise.peer), let credentials = peer.outgoing else { return }
        do throws(PeerFailure) {
            _ = try await caller.call(
                .post, promise.responseURL, credentials,
                route: (house.settings.party, promise.party ?? peer.parties.first),
                body: result.wire(profile?.ocpiActive))
        } catch {
            // Not repeated: the partner has its own timeout, and can ask what holds.
            house.log.warning(
                "ocpi charging profile result not taken",
                ["partner": peer.name, "session": promise.session, "reason": "\(error)"])
        }
    }

    // MARK: What holds

    /// Tells partners how the profile in force of their charges changes. OCPI 2.2.1 §14.2.2.
    func runActiveProfiles() async throws {
        while true {
            try await house.clock.sleep(milliseconds: Self.activeProfileTickMilliseconds)
            let watches = try await house.read { transaction in
                try transaction.query("SELECT * FROM ocpi_profile_watch").map { row in
                    ProfileResults.Watch(
                        session: try row.text("session"), peer: try row.text("peer"),
                        unit: ChargingSchedule.Unit(rawValue: try row.text("unit")) ?? .amperes)
                }
            }
            // Each on its own: a partner that hangs delays no other by more than its deadline.
            try await withThrowingDiscardingTaskGroup { group in
                for watch in watches { group.addTask { try await self.tell(watch) } }
            }
        }
    }

    private func tell(_ watch: ProfileResults.Watch) async throws {
        guard let session = house.sessions.running(watch.session), let peer = peers.peer(watch.peer)
        else {
            profileResults.forget(watch)
            _ = try await house.write { transaction in
                try transaction.execute(
                    "DELETE FROM ocpi_profile_watch WHERE session = ? AND peer = ?",
                    watch.session, watch.peer)
            }
            return
        }
        let now = house.clock.monotonicMilliseconds
        guard !profileResults.rests(watch, at: now), let credentials = peer.outgoing,
            let url = peer.url(of: "chargingprofiles", role: "SENDER")
        else { return }
        let start = Timestamp(seconds: house.clock.now.milliseconds / 1000)
        let active = try await house.grid.expected(
            house, station: session.station, connector: session.connector,
            seconds: Self.activeProfileSeconds, unit: watch.unit, at: start)
        if let told = profileResults.lastPushed(watch),
            told.differences(from: active)?.isEmpty == true,
            start.seconds(since: told.start)
                < Int64(Self.activeProfileSeconds) - Self.activeProfileMarginSeconds
        {
            return
        }
        do throws(PeerFailure) {
            _ = try await caller.call(
                .put, PeerURL.join(url, session.id), credentials,
                route: (house.settings.party, session.token.party), body: active.ocpiActive)
            profileResults.pushed(watch, active)
        } catch {
            profileResults.rest(watch, until: now + Self.activeProfileRestMilliseconds)
            house.log.warning(
                "ocpi active charging profile not taken",
                ["partner": peer.name, "session": session.id, "reason": "\(error)"])
        }
    }
}
