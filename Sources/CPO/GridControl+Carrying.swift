import Charging
import SQL
import Service

extension GridControl {
    /// Tells a station one thing, and takes its answer.
    func carry(_ work: Work, _ house: ChargePointOperator, _ links: any StationLinks) async {
        do {
            switch work {
            case .order(let site, let order): try await carry(order, of: site, house, links)
            case .profile(let errand): try await carry(errand, house, links)
            case .release(let id): try await release(id, house, links)
            }
        } catch {
            // What it may hold stands in the rows already; the next look goes on from there.
            log.error("an answer about charging limits was not stored", ["error": "\(error)"])
        }
    }

    private func carry(
        _ order: GridMachine.Order, of site: String, _ house: ChargePointOperator,
        _ links: any StationLinks
    ) async throws {
        let (answer, word) = await tell(order, of: site, house, links)
        if answer != .accepted {
            log.warning(
                "a charging limit was not taken",
                [
                    "station": order.id.station, "connector": order.id.connector, "answer": word,
                ])
        }
        let now = moment
        let effects = state.withLock { state in
            state.sites.hasten(site, at: now.monotonic)
            return state.machines[site]?.handle(
                .answered(order.id, number: order.number, answer), at: now) ?? []
        }
        try await remember(effects, of: site, house)
    }

    private func tell(
        _ order: GridMachine.Order, of site: String, _ house: ChargePointOperator,
        _ links: any StationLinks
    ) async -> (GridMachine.Answer, String) {
        guard let tree = sites.tree(site),
            let outlet = tree.outlets.first(where: { $0.id == order.id })
        else { return (.unsent, "not shared any more") }
        let deadline = house.settings.commandDeadlineSeconds
        if order.takesOver, let word = await takeOver(order.id, links, deadline) {
            // Ours would not be what counts there.
            return (.unsent, "what others set was not cleared: \(word)")
        }
        let profile = GridProfile.profile(
            order.part, order.limit, expires: order.expires, outlet, in: tree)
        return await ask(
            .setProfile(connector: order.id.connector, profile), order.id.station, links, deadline)
    }

    /// Clears what would stand above ours or in its place: all on the connector, and the defaults of
    /// the whole station on connector 0.
    ///
    /// - Returns: nil once it is gone, else what the station said.
    private func takeOver(
        _ id: OutletID, _ links: any StationLinks, _ deadline: Int
    ) async -> String? {
        var filters = [ProfileFilter(connector: id.connector)]
        // Once one connector of the station is ours nobody else can set these. And they go first: a
        // station that takes connector 0 for all must not lose a limit of ours with them.
        let isFirst = state.withLock { state in
            !state.machines.values.contains { $0.hasTakenOver(id.station) }
        }
        if isFirst {
            filters.insert(ProfileFilter(connector: 0, purpose: .transactionDefault), at: 0)
        }
        for filter in filters {
            let (answer, word) = await ask(.clearProfiles(filter), id.station, links, deadline)
            guard Self.isGone(answer, word) else { return word }
        }
        return nil
    }

    /// What a clear is answered with when nothing of it is left: Unknown says that nothing was there.
    static func isGone(_ answer: GridMachine.Answer, _ word: String) -> Bool {
        answer == .accepted || answer == .refused && word == "Unknown"
    }

    private func carry(
        _ errand: StationProfiles.Errand, _ house: ChargePointOperator, _ links: any StationLinks
    ) async throws {
        let record = errand.record
        defer { hasTold(record.station) }
        let sentAt = clock.now
        var renewAt: Timestamp?
        let (answer, word): (GridMachine.Answer, String)
        if let command = command(for: record, house, at: sentAt) {
            if case .setProfile(_, let profile) = command {
                renewAt = record.plan.renewal(of: profile.schedule, at: sentAt)
            }
            (answer, word) = await ask(
                command, record.station, links, house.settings.commandDeadlineSeconds)
        } else {
            (answer, word) = (.unsent, "its charge is not the one that runs there")
        }
        let now = clock.now
        try await house.write { [profiles, renewAt] transaction in
            try profiles.done(
                errand, answer, word, sentAt: sentAt, renewAt: renewAt, at: now, in: transaction)
        }
    }

    /// nil for a profile of a charge that is not the one on its connector: it must not bound another.
    private func command(
        for record: StationProfiles.Record, _ house: ChargePointOperator, at now: Timestamp
    ) -> StationCommand? {
        if record.state == .withdrawn || record.state == .keeping {
            return .clearProfiles(ProfileFilter(id: record.id))
        }
        let charge = house.sessions.charge(at: OutletID(record.station, record.connector))
        guard record.session == nil || charge?.session == record.session else { return nil }
        let zone = house.locations.places(station: record.station).first?.location.timeZone
        return .setProfile(
            connector: record.connector,
            record.plan.profile(
                id: record.id, transaction: charge?.transaction, in: rules(of: zone ?? "UTC"),
                at: now))
    }

    /// Connectors of no site any more, whose limits are to be taken back.
    func readLeaving(_ house: ChargePointOperator) async throws {
        let ids = try await house.read { transaction in
            try transaction.query(
                "SELECT station, connector FROM site_connector WHERE site IS NULL"
            )
            .map { OutletID(try $0.text("station"), try $0.int("connector")) }
        }
        state.withLock { $0.leaving = Set(ids) }
    }

    /// Those that are asked now to forget their limits; who gives no answer is asked again, but not
    /// every second.
    func dueReleases(_ house: ChargePointOperator) async throws -> [OutletID] {
        let now = clock.monotonicMilliseconds
        let isDue = state.withLock { state in
            guard !state.leaving.isEmpty, now >= state.releaseAt else { return false }
            state.releaseAt = now + 30_000
            return true
        }
        guard isDue else { return [] }
        let online = try await house.read { transaction in
            try transaction.query(
                """
                SELECT o.station AS station, o.connector AS connector FROM site_connector o
                JOIN station s ON s.id = o.station WHERE o.site IS NULL AND s.is_online = 1
                """
            ).map { OutletID(try $0.text("station"), try $0.int("connector")) }
        }
        return state.withLock { state in
            let taken = online.filter { !state.releasing.contains($0) }
            state.releasing.formUnion(taken)
            return taken
        }
    }

    private func release(
        _ id: OutletID, _ house: ChargePointOperator, _ links: any StationLinks
    ) async throws {
        defer {
            let now = clock.monotonicMilliseconds
            state.withLock { state in
                state.releasing.remove(id)
                // It may be shared again meanwhile.
                for site in sites.sites(of: id.station) { state.sites.hasten(site, at: now) }
            }
        }
        // Once it is asked to forget, nothing it was told counts any more: it may be shared again.
        let isFree = try await house.write { transaction in
            try transaction.execute(
                """
                UPDATE site_connector SET told = '{}'
                WHERE station = ? AND connector = ? AND site IS NULL
                """, id.station, id.connector) == 1
        }
        guard isFree else { return }
        for part in [GridMachine.Part.present, .fallback] {
            let (answer, _) = await ask(
                .clearProfiles(ProfileFilter(id: GridProfile.id(part, id.connector))),
                id.station, links, house.settings.commandDeadlineSeconds)
            // Unknown is an answer, too: it is not there.
            guard answer == .accepted || answer == .refused else { return }
        }
        _ = try await house.write { transaction in
            try transaction.execute(
                """
                DELETE FROM site_connector WHERE station = ? AND connector = ? AND site IS NULL
                """, id.station, id.connector)
        }
        state.withLock { _ = $0.leaving.remove(id) }
    }

    /// What a station's answer means, and its word.
    private func ask(
        _ command: StationCommand, _ station: String, _ links: any StationLinks, _ deadline: Int
    ) async -> (GridMachine.Answer, String) {
        do throws(StationLinkError) {
            let answer = try await links.send(command, to: station, deadlineSeconds: deadline)
            guard case .status(let word) = answer else { return (.unknown, "not understood") }
            return (word == "Accepted" ? .accepted : .refused, word)
        } catch {
            return switch error {
            case .offline, .busy, .cancelled, .replaced: (.unsent, "not sent")
            case .timedOut, .lost: (.unknown, "no answer")
            case .notUnderstood(let text): (.unknown, "not understood: \(text)")
            case .notSupported: (.refused, "not in the station's protocol version")
            case .refused(let code, let description): (.refused, "\(code): \(description)")
            }
        }
    }
}

extension GridControl {
    /// One look, with everything it asks for told and answered before it returns.
    package func once(_ house: ChargePointOperator, over links: any StationLinks) async throws {
        var works: [Work] = []
        try await tick(house) { works.append($0) }
        for work in works { await carry(work, house, links) }
    }
}
