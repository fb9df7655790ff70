import Beckn
import CPO
import CSMS
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
        + BecknDoor.migrations

    let house: ChargePointOperator
    let settings: Settings
    let log: Log
    let stations: CentralSystem
    let client: HTTPClient
    let ocpi: OCPIDoor
    let beckn: BecknDoor?

    init(house: ChargePointOperator, settings: Settings, log: Log) async throws {
        self.house = house
        self.settings = settings
        self.log = log
        var door = CentralSystemSettings()
        door.lowestSecurityProfile = settings.ocpp.lowestSecurityProfile
        stations = CentralSystem(house: house, dialects: [OCPP16Dialect()], settings: door)
        let client = HTTPClient(
            .init(rules: settings.outgoing.rules, caFile: settings.outgoing.caFile))
        self.client = client
        ocpi = try await OCPIDoor(house, settings: settings.ocpi, client: client)
        beckn = try settings.beckn.map { beckn in
            let text = try String(decoding: FileSystem.read(beckn.keyFile), as: UTF8.self)
            return try BecknDoor(
                house: house, settings: beckn.door,
                identity: BecknIdentity(
                    subscriberID: beckn.door.subscriberID, uniqueKeyID: beckn.door.uniqueKeyID,
                    key: BecknKeyPair.privateKey(text)),
                registry: SubscriberRegistry(json: FileSystem.read(beckn.registryFile)),
                client: client)
        }
    }

    /// Reads what the doors must know before the first request.
    func load() async throws { try await stations.load() }

    func mount(on router: inout Router) {
        Health(house: house).mount(on: &router)
        stations.mount(on: &router)
        ocpi.mount(on: &router)
        beckn?.mount(on: &router)
    }

    /// Everything that goes on without being asked; ends when cancelled.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await settleOrphans() }
            group.addTask { await stations.run() }
            group.addTask { try await house.commands.run(house, over: stations) }
            group.addTask { try await ocpi.run() }
            group.addTask { try await followPartners() }
            if let beckn, let settings = settings.beckn {
                group.addTask { try await beckn.run() }
                group.addTask { try await followRegistry(settings.registryFile, beckn) }
            }
            try await group.waitForAll()
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
        var known = try FileSystem.read(file)
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

    /// Sessions whose stop never came are billed after their grace.
    private func settleOrphans() async throws {
        while true {
            try await house.clock.sleep(milliseconds: 60_000)
            let now = house.clock.now
            try await house.write { try house.sessions.settleOrphans(at: now, in: $0) }
        }
    }
}
