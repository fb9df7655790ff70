import CPO
import Charging
import JSON
import OCPP
import SQL
import Service
import Web

/// The OCPP door: stations knock at `/ocpp/{stationID}`, their events go to the house, the house's
/// commands go to them.
package final class CentralSystem: Sendable {
    let house: ChargePointOperator
    package let settings: CentralSystemSettings
    let links = LinkRegistry<StationLink>()
    let directory = StationDirectory()
    let log: MessageLog
    let dialects: [any Dialect]
    let admission: Admission
    let wrongPasswords: WrongPasswords
    let quarantine: Quarantine
    let upkeep: TokenUpkeep
    let zones = StationZones()
    /// nil: nobody signs what stations ask for.
    package let authority: StationAuthority?
    /// nil: files are kept elsewhere.
    package let files: FileStore?
    /// How far the registry's changes are in the directory.
    private let followed = Lock(Int64(0))

    /// - Parameter dialects: in the order of our preference; only these are offered.
    package init(
        house: ChargePointOperator, dialects: [any Dialect],
        settings: CentralSystemSettings = CentralSystemSettings()
    ) {
        self.house = house
        self.dialects = dialects
        self.settings = settings
        log = MessageLog(house: house, settings: settings)
        wrongPasswords = WrongPasswords(settings: settings, clock: house.clock)
        quarantine = Quarantine(settings: settings)
        authority = settings.authority.map { StationAuthority(house: house, settings: $0) }
        files = settings.files.map { FileStore(house: house, settings: $0) }
        admission = Admission(
            settings: settings, unknownStations: house.settings.unknownStations,
            versions: dialects.map(\.version))
        upkeep = TokenUpkeep(
            house: house, settings: settings, links: links, directory: directory)
        house.stations.onRemoval { station, transaction in
            try StationAccess.forget(station, in: transaction)
            try LocalListRecord.forget(station, in: transaction)
        }
        house.privacy.onErasure { [weak log] in await log?.flush() }
    }

    /// Reads who may connect. Before the server starts.
    package func load() async throws {
        let now = house.clock.now
        try await house.write { [stations = house.stations] transaction in
            try stations.allDetached(at: now, in: transaction)
        }
        // Before the rows are read, so that a change in between is seen twice and not never.
        let newest = try await house.journal.newest()
        followed.withLock { $0 = newest }
        try await directory.load(from: house)
        try await upkeep.load()
        try await authority?.load()
        try await files?.load()
    }

    /// Adds the WebSocket route, and where boards enrol.
    package func mount(on router: inout Router) {
        mountEnrolment(on: &router)
        files?.mount(on: &router)
        router.add(
            "/ocpp/{path...}",
            webSocket: WebSocketRoute(
                // Answered in the station's own letters, whichever it takes.
                subprotocols: dialects.map(\.version.subprotocol).flatMap { [$0, $0.uppercased()] }
            ) { self.decide($0) })
    }

    /// Writes the message log, follows the registry and keeps stations' lists until cancelled; the roof owns the task.
    package func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.log.run() }
            group.addTask { await self.followRegistry() }
            group.addTask { await self.upkeep.run() }
        }
        await log.flush()
    }

    /// Open links, replaced ones left out.
    package var linkCount: Int { links.count }

    // MARK: A link's life

    enum Admitted: Sendable {
        case admitted(StationRecord, Int64)
        case replaced
        case refused
        case failed
    }

    /// Makes a socket the station's newest in the registry, durably.
    func admit(_ link: StationLink) async -> Admitted {
        let (now, epoch) = (house.clock.now, link.epoch)
        var granted = link.granted
        if let password = granted.firstPassword {
            granted.firstVerifier = await Self.stretched(password)
        }
        do {
            let (admitted, access) = try await house.write {
                [self, granted] transaction -> (Admitted, StationAccess?) in
                guard links.isCurrent(granted.station, epoch: epoch) else {
                    return (.replaced, nil)
                }
                guard
                    var record = try house.stations.admit(
                        granted.station, at: now, in: transaction)
                else { return (.refused, nil) }
                let (isAnothers, access) = try noted(
                    granted, link, &record, at: now, in: transaction)
                if isAnothers { return (.refused, access) }
                let number = try house.stations.attached(
                    record.id, subprotocol: link.dialect.version.subprotocol, at: now,
                    in: transaction)
                if let own = granted.certificate {
                    try authority?.used(own, by: record.id, at: now, in: transaction)
                }
                return (.admitted(record, number), access)
            }
            if let access { directory.put(access, for: granted.station) }
            if case .admitted(let record, _) = admitted {
                directory.put(record)
                log.count(granted.deviations, of: record.id, at: now)
                upkeep.linkIsUp(record.id, hasBooted: false)
                house.log.notice(
                    "station connected",
                    ["station": record.id, "address": link.connection.remoteAddress])
                if granted.firstPassword != nil, record.registration == .pending {
                    house.log.warning(
                        "station waits in the inbox with a first password",
                        ["station": record.id, "address": link.connection.remoteAddress])
                }
            }
            return admitted
        } catch {
            house.log.error(
                "station not admitted", ["station": granted.station, "error": "\(error)"])
            return .failed
        }
    }

    /// Away from the loop, and before the writer's turn: it takes milliseconds.
    @concurrent
    private static func stretched(_ password: [UInt8]) async -> StationVerifier {
        StationVerifier(password: password, .unknown)
    }

    /// Writes down what its coming means for its access, onto the row: an operator may have changed it
    /// since the handshake.
    private func noted(
        _ granted: Admission.Granted, _ link: StationLink, _ record: inout StationRecord,
        at now: Timestamp, in transaction: Transaction
    ) throws -> (isAnothers: Bool, access: StationAccess?) {
        let known = try StationAccess.stored(record.id, in: transaction)
        var changed = known
        // What it proved itself by may have been changed or forgotten since, by another process too.
        guard granted.apply(to: &changed, at: now), granted.stands(in: changed, at: now) else {
            return (true, known)
        }
        let isNew = record.registration == .pending && record.createdAt == now
        let wasNew = record.registration == .accepted && known.cameFrom != nil
        guard granted.changesAccess || isNew || wasNew else { return (false, nil) }
        if mustWait(record.registration, known, granted) {
            record = try house.stations.register(record.id, .pending, at: now, in: transaction)
            changed.wasRegistered = true
        }
        let place = known.cameFrom ?? Neighbourhood(of: link.connection.remoteAddress).text
        let waits = record.registration == .pending
        changed.cameFrom = waits ? place : nil
        changed.wasRegistered = waits && changed.wasRegistered
        try changed.store(record.id, at: now, in: transaction)
        return (false, changed)
    }

    /// Whoever reads an id off a charger could bring the first password of a station that is registered
    /// without one, so a person looks first; unless the house takes everybody for any station anyway.
    func mustWait(
        _ registration: RegistrationStatus, _ known: StationAccess, _ granted: Admission.Granted
    ) -> Bool {
        granted.firstPassword != nil && known.verifier == nil && registration == .accepted
            && settings.firstPasswords == .inbox && house.settings.unknownStations == .inbox
            && settings.lowestSecurityProfile > 0
    }

    func detached(_ station: String, _ number: Int64) async {
        let now = house.clock.now
        do {
            _ = try await house.write { [stations = house.stations] transaction in
                try stations.detached(station, epoch: number, at: now, in: transaction)
            }
            house.log.notice("station disconnected", ["station": station])
        } catch {
            // `load` puts every station offline at the next start; until then the row is wrong.
            house.log.error("detach not stored", ["station": station, "error": "\(error)"])
        }
    }

    /// One event to the house; durable when it returns. It stays on the caller's shard: a hop to
    /// another thread and back would cost more than the event.
    nonisolated(nonsending) func apply(
        _ event: StationEvent, from station: String, receivedAt: Timestamp
    ) async throws -> StationReply {
        let reply = try await house.sessions.apply(event, from: station, receivedAt: receivedAt)
        guard case .booted(let status, let interval, let now) = reply else { return reply }
        if directory[station]?.registration != status, var entry = directory[station] {
            entry.registration = status
            directory.put(entry)
        }
        if case .booted(let identity) = event { heard(identity, of: station, at: receivedAt) }
        if status == .accepted { upkeep.linkIsUp(station, hasBooted: true) }
        let seconds =
            status == .accepted ? spread(interval, station) : settings.pendingIntervalSeconds
        return .booted(status, intervalSeconds: seconds, now: now)
    }

    /// The interval a little longer or shorter, always the same for a station.
    private func spread(_ interval: Int, _ station: String) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in station.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        let width = max(0, interval * settings.heartbeatSpreadPercent / 100)
        return max(1, interval - width + Int(hash % UInt64(2 * width + 1)))
    }

    // MARK: The registry's changes

    /// A station that is adopted while its socket is open is asked to boot again; one that is removed
    /// or rejected loses its socket.
    private func followRegistry() async {
        let announcements = house.journal.announcements()
        await readRegistryChanges()
        for await _ in announcements {
            // Meter values are announced too: all that came in a moment is read at once.
            try? await house.clock.sleep(milliseconds: settings.registryPauseMilliseconds)
            await readRegistryChanges()
        }
    }

    private func readRegistryChanges() async {
        while true {
            let cursor = followed.withLock { $0 }
            // A failed read is tried again at the next announcement.
            guard let lines = try? await house.journal.lines(after: cursor), let last = lines.last
            else { return }
            for line in lines where line.kind == .stationAdded || line.kind == .stationChanged {
                await registryChanged(line.subject)
            }
            if lines.contains(where: { $0.kind == .tokenChanged }) { upkeep.tokensChanged() }
            followed.withLock { $0 = last.seq }
        }
    }

    private func registryChanged(_ id: String) async {
        do {
            // As both are stored, connected or not: what one of the same id proved itself by before may count
            // no more, and another process may have made a code for the board. At one moment and on the writer's
            // thread: a first password whose row is written meanwhile comes before this or after it, and is not
            // taken for one of a station that was taken in.
            let found = try await house.write { [house, directory] transaction in
                let record = try house.stations.station(id, in: transaction)
                let access = try StationAccess.stored(id, in: transaction)
                if let record {
                    directory.put(access, for: id)
                    directory.put(record)
                }
                return record.map { ($0, access) }
            }
            guard let (record, access) = found else {
                directory.remove(id)
                upkeep.forget(id)
                await links[id]?.close(1008, reason: "removed")
                return
            }
            guard let link = links[id] else { return }
            switch record.registration {
            case .rejected: await link.close(1008, reason: "rejected")
            case .pending: break
            case .accepted: await link.adopted(access)
            }
        } catch {
            house.log.warning("registry not read", ["station": id, "error": "\(error)"])
        }
    }
}

extension StationDirectory {
    func put(_ entry: Entry) {
        put(
            StationRecord(
                id: entry.id, registration: entry.registration,
                createdAt: Timestamp(milliseconds: 0)))
    }
}
