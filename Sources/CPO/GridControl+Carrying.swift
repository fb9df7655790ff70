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
        guard let tree = sites.tree(site),
            let outlet = tree.outlets.first(where: { $0.id == order.id })
        else { return }
        let deadline = house.settings.commandDeadlineSeconds
        let (station, connector) = (order.id.station, order.id.connector)
        if order.takesOver {
            // What others set there would stand above or in the place of ours. Whatever the answer is,
            // the connector counts with everything until it has taken the limit.
            _ = await ask(
                .clearProfiles(ProfileFilter(connector: connector)), station, links, deadline)
        }
        let profile = GridProfile.profile(
            order.part, order.limit, expires: order.expires, outlet, in: tree, at: clock.now)
        let (answer, word) = await ask(
            .setProfile(connector: connector, profile), station, links, deadline)
        if answer != .accepted {
            log.warning(
                "a charging limit was not taken",
                ["station": station, "connector": connector, "answer": word])
        }
        let now = moment
        let effects = state.withLock { state in
            state.machines[site]?.handle(
                .answered(order.id, number: order.number, answer), at: now) ?? []
        }
        try await remember(effects, of: site, house)
    }

    private func carry(
        _ errand: StationProfiles.Errand, _ house: ChargePointOperator, _ links: any StationLinks
    ) async throws {
        let record = errand.record
        defer { state.withLock { _ = $0.telling.remove(record.station) } }
        let command: StationCommand
        if record.state == .withdrawn {
            command = .clearProfiles(ProfileFilter(id: record.id))
        } else {
            let charge = house.sessions.charge(at: OutletID(record.station, record.connector))
            let zone = house.locations.places(station: record.station).first?.location.timeZone
            command = .setProfile(
                connector: record.connector,
                record.plan.profile(
                    id: record.id, transaction: charge?.transaction,
                    in: rules(of: zone ?? "UTC"), at: clock.now))
        }
        let (answer, word) = await ask(
            command, record.station, links, house.settings.commandDeadlineSeconds)
        let now = clock.now
        try await house.write { [profiles] transaction in
            try profiles.done(errand, answer, word, at: now, in: transaction)
        }
    }

    /// Connectors of no site any more get their limits taken back, one at a time.
    func releaseLater(_ ids: [OutletID]) {
        state.withLock { state in state.waiting = ids.filter { !state.releasing.contains($0) } }
    }

    func takeReleases() -> [OutletID] {
        let now = clock.monotonicMilliseconds
        return state.withLock { state in
            guard now >= state.releaseAt else { return [] }
            let taken = state.waiting
            // A station that gives no answer is asked again, but not every second.
            if !taken.isEmpty { state.releaseAt = now + 30_000 }
            state.waiting = []
            state.releasing.formUnion(taken)
            return taken
        }
    }

    private func release(
        _ id: OutletID, _ house: ChargePointOperator, _ links: any StationLinks
    ) async throws {
        defer { state.withLock { _ = $0.releasing.remove(id) } }
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
