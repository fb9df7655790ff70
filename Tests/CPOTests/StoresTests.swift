import Charging
import SQL
import Service
import TestSupport
import Testing

@testable import CPO

@Suite struct `Places` {
    @Test func `raise lastUpdated from the plug up and nowhere else`() async throws {
        let house = try await House()
        let before = try #require(house.cpo.locations.location("L-1"))
        var changed = before
        changed.evses[0].connectors[0].tariffIDs = ["T-2"]
        let wanted = changed
        let isChanged = try await house.cpo.write {
            try house.cpo.locations.put(wanted, at: House.noon, in: $0)
        }
        let after = try #require(house.cpo.locations.location("l-1"))
        #expect(isChanged)
        #expect(after.lastUpdated == House.noon)
        #expect(after.evses[0].lastUpdated == House.noon)
        #expect(after.evses[0].connectors[0].lastUpdated == House.noon)
        #expect(after.evses[1] == before.evses[1])
        let again = try await house.cpo.write {
            try house.cpo.locations.put(
                wanted, at: House.noon.advanced(bySeconds: 60), in: $0)
        }
        #expect(!again)
        #expect(house.cpo.locations.location("L-1") == after)
    }

    @Test func `follow the status of their station, forward only`() async throws {
        let house = try await House()
        func status() -> EVSEStatus? { house.cpo.locations.evse("E-1")?.evse.status }
        _ = try await house.apply(House.status(0, .available))
        #expect(status() == .available)
        _ = try await house.apply(House.status(60, .charging))
        #expect(status() == .charging)
        // A backlog must not overwrite what is newer.
        _ = try await house.apply(House.status(30, .faulted))
        #expect(status() == .charging)
        _ = try await house.cpo.write {
            try house.cpo.stations.detached("CS-1", epoch: 1, at: House.noon, in: $0)
        }
        #expect(status() == .unknown)
        let epoch = try await house.cpo.write {
            try house.cpo.stations.attached(
                "CS-1", subprotocol: "ocpp1.6", at: House.noon, in: $0)
        }
        #expect(epoch == 2)
        #expect(status() == .charging)
    }

    @Test func `keep an EVSE that is gone as removed`() async throws {
        let house = try await House()
        var less = try #require(house.cpo.locations.location("L-1"))
        less.evses.removeLast()
        let wanted = less
        _ = try await house.cpo.write {
            try house.cpo.locations.put(wanted, at: House.noon, in: $0)
        }
        let after = try #require(house.cpo.locations.location("L-1"))
        #expect(after.evses.map(\.status) == [.unknown, .removed])
        #expect(house.cpo.locations.place(station: "CS-1", connector: 2) == nil)
    }

    @Test func `take in the plugs of an adopted station`() async throws {
        let house = try await House(
            settings: OperatorSettings(
                party: House.party, name: "Kerb", currency: "INR", unknownStations: .adopt,
                adoptionLocation: "L-1"))
        _ = try await house.cpo.write { transaction in
            try house.cpo.stations.admit("CS-2", at: House.noon, in: transaction)
        }
        for connector in [0, 1, 1, 2] {
            _ = try await house.cpo.sessions.apply(
                House.status(Int64(connector), .available, connector: connector), from: "CS-2",
                receivedAt: House.noon)
        }
        let place = house.cpo.locations.place(station: "CS-2", connector: 2)
        #expect(house.cpo.locations.location("L-1")?.evses.count == 4)
        #expect(place?.evse.uid == "CS-2-2")
        #expect(place?.evse.evseID == "IN*KRB*E2*3*4")
    }

    /// A place that a person took its plug from has the uid that the plug would get: nothing it tells fails.
    @Test func `take in an adopted station's plug again that was taken out`() async throws {
        let house = try await House(
            settings: OperatorSettings(
                party: House.party, name: "Kerb", currency: "INR", unknownStations: .adopt,
                adoptionLocation: "L-1"))
        let plain = try #require(house.cpo.locations.location("L-1"))
        func tell(_ second: Int64) async throws {
            _ = try await house.cpo.sessions.apply(
                House.status(second, .available), from: "CS-2", receivedAt: House.noon)
        }
        _ = try await house.cpo.write { transaction in
            try house.cpo.stations.admit("CS-2", at: House.noon, in: transaction)
        }
        try await tell(1)
        _ = try await house.cpo.write { transaction in
            try house.cpo.locations.put(plain, at: House.noon, in: transaction)
        }
        #expect(house.cpo.locations.evse("CS-2-1")?.evse.status == .removed)
        try await tell(2)
        let place = house.cpo.locations.place(station: "CS-2", connector: 1)
        #expect(place?.evse.uid == "CS-2-1" && place?.evse.status != .removed)
        _ = try await house.apply(House.status(3, .charging, connector: 2))
        #expect(house.cpo.locations.evse("E-2")?.evse.status == .charging)
        // Taken out of the registry, it leaves no plug behind, and nobody tells its status any more.
        let removed = try await house.cpo.write { transaction in
            try house.cpo.stations.remove("CS-1", at: House.noon, in: transaction)
        }
        #expect(removed)
        #expect(house.cpo.locations.evse("E-2")?.evse.status == .unknown)
        for connector in 1...2 {
            #expect(house.cpo.locations.place(station: "CS-1", connector: connector) == nil)
        }
    }

    @Test func `give an adopted station's plugs their places, whichever is told of first`()
        async throws
    {
        let house = try await House(
            settings: OperatorSettings(
                party: House.party, name: "Kerb", currency: "INR", unknownStations: .adopt,
                adoptionLocation: "L-2"))
        var location = try #require(house.cpo.locations.location("L-1"))
        location.id = "L-2"
        for index in location.evses.indices {
            location.evses[index].uid = "bay-\(index + 1)"
            location.evses[index].station = nil
            location.evses[index].stationConnector = nil
        }
        let free = location
        _ = try await house.cpo.write { transaction in
            _ = try house.cpo.locations.put(free, at: House.noon, in: transaction)
            _ = try house.cpo.stations.admit("CS-2", at: House.noon, in: transaction)
        }
        for connector in [2, 1] {
            _ = try await house.cpo.sessions.apply(
                House.status(Int64(connector), .available, connector: connector), from: "CS-2",
                receivedAt: House.noon)
        }
        for connector in [1, 2] {
            let place = house.cpo.locations.place(station: "CS-2", connector: connector)
            #expect(place?.evse.uid == "bay-\(connector)")
        }
    }

    @Test func `come back from their rows as they were`() async throws {
        let folder = TemporaryFolder()
        let before = try await House(path: folder.file("a.sqlite"))
        _ = try await before.apply(House.status(0, .available))
        let locations = before.cpo.locations.all()
        let tariffs = before.cpo.tariffs.all()
        await before.cpo.database.close()
        let after = try await House(path: folder.file("a.sqlite"), isNew: false)
        #expect(after.cpo.locations.all() == locations)
        #expect(after.cpo.tariffs.all() == tariffs)
        #expect(!locations.isEmpty && !tariffs.isEmpty)
    }

    @Test func `forget what a failed transaction told them`() async throws {
        struct Broken: Error {}
        let house = try await House()
        let newest = try await house.cpo.journal.newest()
        await #expect(throws: Broken.self) {
            try await house.cpo.write { transaction in
                _ = try house.cpo.locations.retire("L-1", at: House.noon, in: transaction)
                throw Broken()
            }
        }
        _ = try await house.apply(House.status(0, .available))
        #expect(house.cpo.locations.evse("E-1")?.evse.status == .available)
        #expect(
            try await house.cpo.journal.lines(after: newest).map(\.kind) == [
                .connectorStatus, .evseStatus,
            ])
    }
}

@Suite struct `A place that is put on a plug` {
    @Test func `shows what the plug told before`() async throws {
        let house = try await House()
        for (connector, status) in [(1, ConnectorStatus.available), (2, .charging)] {
            _ = try await house.apply(House.status(0, status, connector: connector))
        }
        let at = House.noon.advanced(bySeconds: 60)
        var location = House.location(at: at)
        location.id = "L-2"
        for index in location.evses.indices {
            location.evses[index].uid = "F-\(index)"
            location.evses[index].evseID = nil
        }
        let (moved, former) = (location, "L-1")
        try await house.cpo.write { transaction in
            _ = try house.cpo.locations.retire(former, at: at, in: transaction)
            try house.cpo.locations.put(moved, at: at, in: transaction)
        }
        let found = try #require(house.cpo.locations.location("L-2"))
        #expect(found.evses.map(\.status) == [.available, .charging])
        // Nobody hears of a plug whose station is away.
        _ = try await house.cpo.write {
            try house.cpo.stations.detached("CS-1", epoch: 1, at: at, in: $0)
        }
        #expect(
            house.cpo.locations.location("L-2")?.evses.map(\.status) == [.unknown, .unknown])
    }
}

@Suite struct `A transaction that fails` {
    private struct Broken: Error, Equatable {}

    @Test func `takes what memory learnt of a session with it`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        await #expect(throws: Broken()) {
            try await house.cpo.write { open in
                _ = try house.cpo.sessions.apply(
                    House.meter(transaction, 60, 9000), from: "CS-1", receivedAt: House.noon,
                    in: open)
                throw Broken()
            }
        }
        _ = try await house.apply(House.meter(transaction, 120, 1100), at: 120)
        #expect(house.cpo.sessions.running().first?.meterLast == WattHours(1100))
        #expect(try await house.cpo.suspicions.list().isEmpty)
    }
}

@Suite struct `The link of a station` {
    @Test func `is not ended by an old socket`() async throws {
        let house = try await House()
        let ended = try await house.cpo.write { transaction in
            _ = try house.cpo.stations.attached(
                "CS-1", subprotocol: "ocpp1.6", at: House.noon, in: transaction)
            return try house.cpo.stations.detached(
                "CS-1", epoch: 1, at: House.noon, in: transaction)
        }
        #expect(!ended)
        #expect(try await house.cpo.stations.station("cs-1")?.isOnline == true)
    }
}

@Suite struct `The journal's bell` {
    @Test(.timeLimit(.minutes(1)))
    func `rings for a line that was appended while another commit was announced`() async throws {
        let house = try await House()
        let journal = house.cpo.journal
        var bell = journal.announcements().makeAsyncIterator()
        let isAppended = BlockingQueue<Bool>(limit: 1)
        let mayCommit = BlockingQueue<Bool>(limit: 1)
        // The first is durable, but its caller has not come to announce it yet.
        let mark = try await house.cpo.database.write { transaction in
            try journal.append("first", "1", at: House.noon, in: transaction)
            return journal.mark
        }
        async let second: Void = house.cpo.write { transaction in
            try journal.append("second", "2", at: House.noon, in: transaction)
            try isAppended.put(true)
            _ = mayCommit.take(most: 1)
        }
        _ = await onThread { isAppended.take(most: 1)?.count }
        journal.committed(mark)
        _ = await bell.next()
        try mayCommit.put(true)
        try await second
        #expect(await bell.next() == (try await journal.newest()))
    }
}

@Suite struct `A reader of the journal` {
    @Test func `gets every line once, coalesces states and survives a restart`() async throws {
        let house = try await House()
        let reader = JournalReader(
            name: "peer", kinds: [.evseStatus, .sessionStarted, .cdrCreated])
        let (transaction, _) = try await house.started(House.start(0))
        for second in 1...5 {
            let status: ConnectorStatus = second % 2 == 0 ? .charging : .available
            _ = try await house.apply(House.status(Int64(second), status))
        }
        _ = try await house.apply(House.stop(transaction, 600, 1500), at: 600)
        let heard = Lock([JournalLine]())
        func listen(until count: Int) async throws {
            await withThrowingTaskGroup(of: Void.self) { group in
                let (full, continuation) = AsyncStream.makeStream(of: Void.self)
                group.addTask {
                    try await reader.run(house.cpo, fromStart: true) { line in
                        if heard.withLock({ lines in
                            lines.append(line)
                            return lines.count >= count
                        }) {
                            continuation.finish()
                        }
                        return .delivered
                    }
                }
                for await _ in full {}
                group.cancelAll()
            }
        }
        try await listen(until: 3)
        #expect(heard.withLock { $0.map(\.kind) } == [.sessionStarted, .evseStatus, .cdrCreated])
        _ = try await house.started(House.start(900, register: 1500), at: 900)
        try await listen(until: 4)
        #expect(heard.withLock { $0.last?.kind } == .sessionStarted)
    }

    @Test func `keeps from being forgotten what it has not read`() async throws {
        let house = try await House()
        _ = try await house.started(House.start(0))
        let later = House.noon.advanced(bySeconds: 60)
        func prune() async throws -> Int {
            try await house.cpo.write { try house.cpo.journal.prune(before: later, in: $0) }
        }
        let newest = try await house.cpo.journal.newest()
        try await house.cpo.write {
            try house.cpo.journal.move("peer", to: 0, at: later, in: $0)
        }
        #expect(try await prune() == 0)
        try await house.cpo.write {
            try house.cpo.journal.move("peer", to: newest, at: later, in: $0)
            try house.cpo.journal.park("peer", 2, reason: "400", at: later, in: $0)
        }
        #expect(try await prune() == Int(newest) - 2)
        #expect(try await house.cpo.journal.lines(after: 0).map(\.seq) == [2, newest])
    }

    @Test func `parks a line that is refused and goes on`() async throws {
        let house = try await House()
        _ = try await house.started(House.start(0))
        _ = try await house.started(House.start(0, connector: 2))
        let heard = Lock([String]())
        let reader = JournalReader(name: "peer", kinds: [.sessionStarted])
        await withThrowingTaskGroup(of: Void.self) { group in
            let (both, continuation) = AsyncStream.makeStream(of: Void.self)
            group.addTask {
                try await reader.run(house.cpo, fromStart: true) { line in
                    let count = heard.withLock { lines in
                        lines.append(line.subject)
                        return lines.count
                    }
                    if count == 2 { continuation.finish() }
                    return count == 1 ? .park(reason: "400") : .delivered
                }
            }
            for await _ in both {}
            group.cancelAll()
        }
        let parked = try await house.cpo.read {
            try house.cpo.journal.parked("peer", in: $0)
        }
        #expect(parked.map(\.line.subject) == [heard.withLock { $0[0] }])
        #expect(parked.map(\.reason) == ["400"])
    }
}
