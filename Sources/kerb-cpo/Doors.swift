import CPO
import CSMS
import OCPP16
import SQL
import Service
import Web

/// The doors of the house, opened together: their tables, their paths and what they do by themselves.
struct Doors: Sendable {
    /// In every door's own range of numbers; the migrator puts them in order.
    static let migrations: [Migration] =
        ChargePointOperator.migrations + CentralSystem.migrations

    let house: ChargePointOperator
    let settings: Settings
    let log: Log
    let stations: CentralSystem

    init(house: ChargePointOperator, settings: Settings, log: Log) {
        self.house = house
        self.settings = settings
        self.log = log
        var door = CentralSystemSettings()
        door.lowestSecurityProfile = settings.ocpp.lowestSecurityProfile
        stations = CentralSystem(house: house, dialects: [OCPP16Dialect()], settings: door)
    }

    /// Reads what the doors must know before the first request.
    func load() async throws { try await stations.load() }

    func mount(on router: inout Router) {
        Health(house: house).mount(on: &router)
        stations.mount(on: &router)
    }

    /// Everything that goes on without being asked; ends when cancelled.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await settleOrphans() }
            group.addTask { await stations.run() }
            group.addTask { try await house.commands.run(house, over: stations) }
            try await group.waitForAll()
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
