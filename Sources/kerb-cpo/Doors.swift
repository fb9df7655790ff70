import Alerts
import Beckn
import CPO
import CSMS
import Charging
import Console
import HTTPClient
import OCPI
import OCPP16
import SQL
import Service
import Web

/// The doors of the house, opened together: their tables, their paths and what they do by themselves.
struct Doors: Sendable {
    /// In every door's own range of numbers; the migrator puts them in order.
    static let migrations: [Migration] =
        ChargePointOperator.migrations + CentralSystem.migrations + OCPIDoor.migrations
        + BecknDoor.migrations + Console.migrations + Alerts.migrations

    /// What each of them keeps of people. A door that is shut may have rows of a time when it was open.
    static let personalRows: [any PersonalRows] = [
        StationPersonalRows(), PartnerPersonalRows(), BookingPersonalRows(), ConsolePersonalRows(),
    ]

    let house: ChargePointOperator
    let settings: Settings
    let log: Log
    let stations: CentralSystem
    let client: HTTPClient
    let ocpi: OCPIDoor
    let beckn: BecknDoor?
    let console: Console
    let alerts: Alerts
    private let channels: [any AlertChannel]
    /// The registry as the door read it.
    private let registry: [UInt8]

    init(house: ChargePointOperator, settings: Settings, log: Log) async throws {
        self.house = house
        self.settings = settings
        self.log = log
        for rows in Self.personalRows { house.privacy.register(rows) }
        var door = settings.centralSystem
        door.enrolment = try settings.enrolment
        door.files = settings.upkeep.files
        door.authority = try settings.upkeep.authority?.loaded()
        stations = CentralSystem(house: house, dialects: [OCPP16Dialect()], settings: door)
        let client = HTTPClient(
            .init(rules: settings.outgoing.rules, caFile: settings.outgoing.caFile))
        self.client = client
        ocpi = try await OCPIDoor(house, settings: settings.ocpi, client: client)
        let registry = try settings.beckn.map { try FileSystem.read($0.registryFile) } ?? []
        self.registry = registry
        beckn = try settings.beckn.map { beckn in
            let text = try String(decoding: FileSystem.read(beckn.keyFile), as: UTF8.self)
            return try BecknDoor(
                house: house, settings: beckn.door,
                identity: BecknIdentity(
                    subscriberID: beckn.door.subscriberID, uniqueKeyID: beckn.door.uniqueKeyID,
                    key: BecknKeyPair.privateKey(text)),
                registry: SubscriberRegistry(json: registry),
                client: client)
        }
        house.deliveries.register(OutboxDeliveries(beckn))
        channels = try settings.alerts.channels(house, publicURL: settings.publicURL)
        alerts = Alerts(
            house: house, settings: settings.alerts.rules, channels: channels.map(\.name))
        console = Console(
            house: house,
            connections: Console.Connections(
                stations: stations, ocpi: ocpi, beckn: beckn, alerts: alerts,
                party: settings.house.party))
    }

    /// Reads what the doors must know before the first request.
    func load() async throws { try await stations.load() }

    func mount(on router: inout Router) {
        Health(house: house).mount(on: &router)
        stations.mount(on: &router)
        ocpi.mount(on: &router)
        beckn?.mount(on: &router)
        console.mount(on: &router)
    }

    /// Everything that goes on without being asked; ends when cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await keep("orphans") { try await settleOrphans() } }
            group.addTask { await keep("ocpp") { await stations.run() } }
            group.addTask {
                await keep("commands") { try await house.commands.run(house, over: stations) }
            }
            if let files = stations.files {
                group.addTask { await keep("files") { try await files.run() } }
                group.addTask {
                    await keep("campaigns") { try await house.campaigns.run(house, files) }
                }
            }
            group.addTask { await keep("privacy") { try await house.privacy.run() } }
            group.addTask { await keep("templates") { try await house.templates.run(house) } }
            if let authority = stations.authority {
                group.addTask { await keep("authority") { try await authority.run() } }
            }
            group.addTask {
                await keep("sharing") { try await house.grid.run(house, over: stations) }
            }
            group.addTask { await keep("ocpi") { try await ocpi.run() } }
            group.addTask { await keep("alerts") { try await alerts.run(over: channels) } }
            group.addTask { await keep("partners") { try await followPartners() } }
            guard let beckn, let settings = settings.beckn else { return }
            group.addTask { await keep("beckn") { try await beckn.run() } }
            group.addTask {
                await keep("registry") { try await followRegistry(settings.registryFile, beckn) }
            }
        }
    }

    /// Runs a part until cancelled. One that fails, because the disk was full or the database busy, is
    /// begun again after a while; the others do not notice.
    private func keep(_ name: String, _ part: @Sendable () async throws -> Void) async {
        var backoff = Backoff(firstMilliseconds: 500, longestMilliseconds: 30_000)
        while !Task.isCancelled {
            let began = house.clock.monotonicMilliseconds
            do {
                try await part()
                if Task.isCancelled { return }
                log.error("a part of the server ended", ["part": name])
            } catch {
                if Task.isCancelled { return }
                log.error("a part of the server failed", ["part": name, "error": "\(error)"])
            }
            if house.clock.monotonicMilliseconds - began > 60_000 { backoff.reset() }
            do { try await house.clock.sleep(milliseconds: backoff.next()) } catch { return }
        }
    }

    /// A partner that `kerb-cpo ocpi invite` adds while the server runs is known within seconds.
    private func followPartners() async throws {
        var known: [SQLValue] = []
        while true {
            let row = try await house.read { transaction in
                try transaction.queryOne(
                    "SELECT COUNT(*) AS n, MAX(updated_at) AS newest FROM ocpi_peer")
            }
            let found = [try row?.value("n") ?? .null, try row?.value("newest") ?? .null]
            if found != known { try await ocpi.peers.load() }
            known = found
            try await house.clock.sleep(milliseconds: 2000)
        }
    }

    /// A registry file that changes is in force within seconds; a broken one is not taken.
    private func followRegistry(_ file: String, _ beckn: BecknDoor) async throws {
        var known = registry
        while true {
            try await house.clock.sleep(milliseconds: 2000)
            do {
                let bytes = try FileSystem.read(file)
                guard bytes != known else { continue }
                known = bytes
                beckn.replace(registry: try SubscriberRegistry(json: bytes))
                log.info("registry read again", ["file": file])
            } catch {
                log.warning("registry not taken", ["file": file, "error": "\(error)"])
            }
        }
    }

    /// Sessions whose stop never came are billed after their grace; old journal lines are forgotten.
    private func settleOrphans() async throws {
        while true {
            try await house.clock.sleep(milliseconds: 60_000)
            let now = house.clock.now
            let hasBeckn = beckn != nil
            try await house.write { transaction in
                try house.sessions.settleOrphans(at: now, in: transaction)
                guard !hasBeckn else { return }
                try BecknDoor.settleWithoutDoor(house, at: now, in: transaction)
            }
            try await house.pruneJournal(at: now)
        }
    }
}
