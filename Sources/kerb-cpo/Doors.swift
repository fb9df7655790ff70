import CPO
import SQL
import Service
import Web

/// The doors of the house, opened together: their tables, their paths and what they do by themselves.
struct Doors: Sendable {
    /// In every door's own range of numbers; the migrator puts them in order.
    static let migrations: [Migration] = ChargePointOperator.migrations

    let house: ChargePointOperator
    let settings: Settings
    let log: Log

    func mount(on router: inout Router) {
        Health(house: house).mount(on: &router)
    }

    /// Everything that goes on without being asked; ends when cancelled.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await settleOrphans() }
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
