import CPO
import Charging
import Crypto
import HTTPClient
import JSON
import SQL
import Service
import Web

/// The Beckn door, v1.1: drivers' apps search, book, start, stop and pay here.
///
/// A request is verified, taken into the order and its answer laid into the outbox in one transaction,
/// and then acknowledged: what was acknowledged will be answered, whatever happens after.
package final class BecknDoor: Sendable {
    /// Deadlines are looked at this often.
    static let tickMilliseconds: Int64 = 1000
    static let dueLimit = 100
    /// Old requests are forgotten this often.
    static let cleanMilliseconds: Int64 = 3_600_000
    static let requestMemorySeconds: Int64 = 7 * 86_400

    package let settings: BecknSettings
    let house: ChargePointOperator
    let identity: BecknIdentity
    let log: Log
    let store = OrderStore()
    let outbox: Outbox
    private let registryState: Lock<SubscriberRegistry>
    let catalogue = Lock(Catalogue())
    private let zones = Lock([String: LocalTimeRules]())

    package init(
        house: ChargePointOperator, settings: BecknSettings, identity: BecknIdentity,
        registry: SubscriberRegistry, client: HTTPClient
    ) {
        self.house = house
        self.settings = settings
        self.identity = identity
        self.log = house.log
        registryState = Lock(registry)
        outbox = Outbox(
            database: house.database, client: client, identity: identity, clock: house.clock,
            log: house.log)
        rebuildCatalogue()
    }

    var clock: any ServiceClock { house.clock }
    var digits: Int { house.settings.moneyDigits }
    var writer: OrderWriter { OrderWriter(settings: settings, digits: digits) }
    var rules: OrderMachine.Rules { OrderMachine.Rules(settings, digits: digits) }

    var registry: SubscriberRegistry { registryState.withLock { $0 } }

    /// Takes a changed registry file over while running.
    package func replace(registry: SubscriberRegistry) {
        registryState.withLock { $0 = registry }
    }

    // MARK: Running

    package func mount(on router: inout Router) {
        router.add("POST", "/beckn/{action}") { request in await self.answer(request) }
        router.add("GET", "/beckn/track/{order}") { request in await self.trackPage(request) }
    }

    /// Delivers callbacks, follows the house's journal and watches deadlines until cancelled.
    package func run() async throws {
        rebuildCatalogue()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.keep("callbacks") { try await self.outbox.run() } }
            group.addTask { await self.keep("journal") { try await self.follow() } }
            group.addTask { await self.keep("deadlines") { try await self.watch() } }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Goes on after an error: a store that is busy or full must not end the door for good.
    private func keep(_ part: String, _ body: @Sendable () async throws -> Void) async {
        while !Task.isCancelled {
            do { try await body() } catch {
                guard !Task.isCancelled else { return }
                log.error(
                    "a part of the beckn door starts again",
                    ["part": part, "error": LogError(error)])
            }
            // Only a cancellation ends the pause early, and then the loop ends too.
            try? await clock.sleep(milliseconds: Self.tickMilliseconds)
        }
    }

    private func watch() async throws {
        var cleanedAt: Int64?
        while !Task.isCancelled {
            try await tick()
            if clock.monotonicMilliseconds - (cleanedAt ?? .min / 2) >= Self.cleanMilliseconds {
                cleanedAt = clock.monotonicMilliseconds
                try await forget()
            }
            do { try await clock.sleep(milliseconds: Self.tickMilliseconds) } catch { return }
        }
    }

    /// Lets every order whose deadline has come decide. Called by `run`; tests call it themselves.
    package func tick() async throws {
        let now = clock.now
        let ids = try await house.read { [store] transaction in
            try store.due(at: now, limit: Self.dueLimit, in: transaction).map(\.id)
        }
        for id in ids {
            do { try await handle(.tick, order: id) } catch {
                log.warning("deadline of an order failed", ["order": id, "error": LogError(error)])
            }
        }
    }

    /// Lets go of message ids and delivered callbacks that nobody will ask for any more.
    func forget() async throws {
        let before = clock.now.advanced(bySeconds: -Self.requestMemorySeconds)
        try await house.write { [store] in try store.forgetRequests(before: before, in: $0) }
    }

    // MARK: Catalogue

    func rebuildCatalogue() {
        let now = clock.now
        var fresh = Catalogue()
        for location in house.locations.all() {
            fresh.put(location) { house.tariffs.applicable(to: $0, at: now, for: .appUser) }
        }
        let built = fresh
        catalogue.withLock { $0 = built }
    }

    func refreshCatalogue(location id: String) {
        let now = clock.now
        guard let location = house.locations.location(id) else { return }
        catalogue.withLock { [house] catalogue in
            catalogue.put(location) { house.tariffs.applicable(to: $0, at: now, for: .appUser) }
        }
    }

    func localTime(of zone: String) -> LocalTimeRules {
        if let known = zones.withLock({ $0[zone] }) { return known }
        // A place whose zone is not known here is priced in UTC, as the house does.
        let rules =
            (try? ZoneInfo.load(zone)).flatMap { try? LocalTimeRules(tzif: $0) } ?? .utc
        zones.withLock { $0[zone] = rules }
        return rules
    }
}
