import Charging
import JSON
import SQL
import Service
import TestSupport
import Testing

@testable import CPO

/// Tokens' owners as a test scripts them; what they were asked is remembered.
final class ScriptedOwners: TokenOwners {
    private struct State {
        var answers: [String: OwnerAnswer] = [:]
        var asked: [OwnerQuestion] = []
        var hangs = false
        var meanwhile: (@Sendable () async throws -> Void)?
    }

    private let state = Lock(State())
    private let askable: Set<PartyID>
    private let asksForUnknown: Bool

    init(_ askable: Set<PartyID> = [ScriptedOwners.emsp], asksForUnknown: Bool = false) {
        self.askable = askable
        self.asksForUnknown = asksForUnknown
    }

    static let emsp = PartyID(country: "NL", party: "EMS")

    var asked: [OwnerQuestion] { state.withLock { $0.asked } }

    func answer(_ uid: String, _ answer: OwnerAnswer) {
        state.withLock { $0.answers[uid] = answer }
    }

    /// Done while an owner is asked.
    func meanwhile(_ act: (@Sendable () async throws -> Void)?) {
        state.withLock { $0.meanwhile = act }
    }

    /// Nobody answers from now on.
    func hang() { state.withLock { $0.hangs = true } }

    var isAnybodyThere: Bool { asksForUnknown || !askable.isEmpty }

    func canAsk(_ party: PartyID?) -> Bool {
        party.map { askable.contains($0) } ?? asksForUnknown
    }

    func ask(_ question: OwnerQuestion) async -> OwnerAnswer {
        let (hangs, answer, act) = state.withLock { state in
            state.asked.append(question)
            return (state.hangs, state.answers[question.uid], state.meanwhile)
        }
        do { try await act?() } catch { Issue.record(error) }
        if hangs {
            let (never, _) = AsyncStream.makeStream(of: Void.self)
            // Ends when it is cancelled.
            for await _ in never {}
        }
        return answer ?? .silent(reason: "nothing is scripted")
    }
}

extension House {
    static func partners(
        _ uid: String, _ whitelist: Token.Whitelist, isValid: Bool = true, group: String? = nil
    ) -> Token {
        Token(
            party: ScriptedOwners.emsp, uid: uid, kind: .rfid, contractID: "NL-EMS-\(uid)",
            issuer: "EMS", groupID: group, isValid: isValid, whitelist: whitelist,
            lastUpdated: noon)
    }

    func put(_ tokens: Token...) async throws {
        let now = clock.now
        try await cpo.write { [cpo] transaction in
            for token in tokens { try cpo.tokens.put(token, at: now, in: transaction) }
        }
    }

    func shown(_ tag: String) async throws -> AuthorizationInfo {
        guard case .authorization(let info) = try await apply(.authorizing(token: tag)) else {
            throw Unexpected.reply
        }
        return info
    }
}

@Suite struct `A token` {
    @Test func `that has expired is refused, and until then says when`() async throws {
        let house = try await House()
        var token = House.token("LATE-1")
        token.expires = House.noon.advanced(bySeconds: 60)
        try await house.put(token)
        let before = try await house.shown("LATE-1")
        #expect(before.status == .accepted)
        #expect(before.expires == token.expires)
        house.clock.advance(milliseconds: 60_000)
        #expect(try await house.shown("LATE-1").status == .expired)
        // What was begun before is not refused because it is told later.
        #expect(try await house.started(House.start(30, token: "LATE-1"), at: 90).1 == .accepted)
        #expect(
            try await house.started(House.start(61, connector: 2, token: "LATE-1"), at: 90).1
                == .expired)
    }

    @Test func `names its group as it fits a station`() async throws {
        let house = try await House()
        var (short, long) = (House.token("G-1"), House.token("G-2"))
        (short.groupID, long.groupID) = ("FLEET", "A-group-with-a-name-of-thirty-chars")
        try await house.put(short, long)
        #expect(try await house.shown("G-1").group == "FLEET")
        let group = try #require(try await house.shown("G-2").group)
        #expect(group == Tokens.idTag(of: "A-group-with-a-name-of-thirty-chars"))
        #expect(group.count == 20)
    }

    @Test func `is one row, however its owner spells it`() async throws {
        let house = try await House()
        var ended = House.partners("ZZ", .always, isValid: false)
        ended.lastUpdated = House.noon.advanced(bySeconds: 1)
        try await house.put(
            House.partners("zz", .always), House.partners("ZZ", .always), ended)
        let cpo = house.cpo
        let rows = try await cpo.read { try cpo.tokens.candidates(idTag: "zz", in: $0) }
        try #require(rows.count == 1)
        #expect(rows[0].uid == "zz")
        #expect(try await house.shown("ZZ").status == .blocked)
    }

    @Test(.timeLimit(.minutes(1)))
    func `whose row is spelt otherwise than its body is listed once`() async throws {
        let house = try await House()
        try await house.put(House.partners("zz", .always))
        _ = try await house.cpo.write {
            try $0.execute(
                "UPDATE token SET body = ? WHERE uid = 'zz'",
                House.partners("ZZ", .always).storedText)
        }
        let listed = try await house.cpo.tokens.listable(at: House.noon, limit: 100)
        #expect(listed.filter { $0.entry.token.lowercased() == "zz" }.count == 1)
    }

    @Test func `keeps what the house adds to it when its owner tells it again`() async throws {
        let house = try await House()
        var token = House.partners("P-1", .always)
        token.expires = House.noon.advanced(bySeconds: 600)
        token.mostCharges = 2
        try await house.put(token)
        var told = House.partners("P-1", .allowed)
        told.lastUpdated = House.noon.advanced(bySeconds: 1)
        let cpo = house.cpo
        let update = told
        let stored = try await cpo.write { transaction in
            try cpo.tokens.take(update, at: House.noon, in: transaction)
            return try cpo.tokens.find(
                uid: "P-1", party: ScriptedOwners.emsp, kind: .rfid, in: transaction)
        }
        #expect(stored?.whitelist == .allowed)
        #expect(stored?.expires == token.expires)
        #expect(stored?.mostCharges == 2)
    }
}

@Suite struct `Charges at a time` {
    private func house(_ perToken: Int, perGroup: Int = 0) async throws -> House {
        var settings = OperatorSettings(party: House.party, name: "Kerb", currency: "INR")
        settings.chargesPerToken = perToken
        settings.chargesPerGroup = perGroup
        return try await House(settings: settings)
    }

    @Test func `have no bound unless somebody sets one`() async throws {
        let house = try await House()
        #expect(try await house.started(House.start()).1 == .accepted)
        #expect(try await house.started(House.start(connector: 2)).1 == .accepted)
    }

    @Test func `are as many as the operator allows a token`() async throws {
        let house = try await house(1)
        let (first, _) = try await house.started(House.start())
        // The card itself may be shown: it may want to stop the first charge.
        #expect(try await house.shown("driver-1 ").status == .accepted)
        let second = House.start(5, connector: 2, token: "driver-1")
        let (number, status) = try await house.started(second, at: 5)
        #expect(status == .concurrentTransaction)
        // The same start again gets the same answer, and another driver is not concerned.
        let again = try await house.started(second, at: 6)
        #expect(again == (number, .concurrentTransaction))
        let suspicions = try await house.cpo.suspicions.list()
        #expect(suspicions.map(\.code) == [.refusedToken])
        #expect(suspicions.first?.detail == "1 charges of this token run already, 1 may")
        _ = try await house.apply(House.stop(number, 8, 1000), at: 8)
        _ = try await house.apply(House.stop(first, 9, 1200), at: 9)
        #expect(try await house.started(House.start(10, register: 1200), at: 10).1 == .accepted)
    }

    @Test func `do not count the one that a new start ends, nor later ones`() async throws {
        let house = try await house(1)
        #expect(try await house.started(House.start(100), at: 100).1 == .accepted)
        // The same connector: the first one lost its stop.
        #expect(
            try await house.started(House.start(200, register: 1500), at: 200).1 == .accepted)
        // A backlog's charge was over before this one began.
        #expect(try await house.started(House.start(50, connector: 2), at: 210).1 == .accepted)
    }

    @Test func `are as many as the token or its group says`() async throws {
        let house = try await house(1, perGroup: 5)
        let cpo = house.cpo
        var (one, two, three) = (
            House.partners("F-1", .always, group: "Fleet"),
            House.partners("F-2", .always, group: "FLEET"),
            House.partners("F-3", .always, group: "other")
        )
        one.mostCharges = 0
        (two.mostCharges, three.mostCharges) = (0, 0)
        try await house.put(one, two, three)
        try await cpo.write { transaction in
            try cpo.tokens.put(
                Tokens.Group(party: ScriptedOwners.emsp, id: "fleet", mostCharges: 1),
                in: transaction)
        }
        #expect(try await house.started(House.start(token: "F-1")).1 == .accepted)
        #expect(
            try await house.started(House.start(1, connector: 2, token: "F-2"), at: 1).1
                == .concurrentTransaction)
        #expect(
            try await house.started(House.start(2, connector: 2, token: "F-3"), at: 2).1
                == .accepted)
        #expect(try await cpo.tokens.groups().map(\.id) == ["fleet"])
        #expect(
            try await cpo.write {
                try cpo.tokens.deleteGroup(ScriptedOwners.emsp, "FLEET", in: $0)
            })
        #expect(
            try await house.started(House.start(3, connector: 2, token: "F-2"), at: 3).1
                == .accepted)
    }
}

@Suite struct `A station's cache` {
    @Test func `forgets a token that is good no more`() async throws {
        let house = try await House()
        let tokens = house.cpo.tokens
        _ = try await house.shown("DRIVER-1")
        _ = try await house.shown("DRIVER-1")
        _ = try await house.shown("BLOCKED-1")
        #expect(try await tokens.cachesToClear().isEmpty)
        // A change that takes nothing away clears nothing.
        var token = House.token("DRIVER-1")
        token.language = "hi"
        try await house.put(token)
        #expect(try await tokens.cachesToClear().isEmpty)
        token.isValid = false
        try await house.put(token)
        let due = try await tokens.cachesToClear()
        #expect(due.map(\.station) == ["CS-1"])
        // A second reason while the first is worked on stands.
        let first = try #require(due.first).since
        house.clock.advance(milliseconds: 1000)
        token.isValid = true
        try await house.put(token)
        _ = try await house.shown("driver-1")
        token.whitelist = .never
        try await house.put(token)
        try await house.cpo.write {
            try tokens.cacheCleared(of: "CS-1", since: first, in: $0)
        }
        let second = try await tokens.cachesToClear()
        #expect(second.map(\.since) == [House.noon.advanced(bySeconds: 1)])
        try await house.cpo.write {
            try tokens.cacheCleared(of: "CS-1", since: House.noon.advanced(bySeconds: 1), in: $0)
        }
        #expect(try await tokens.cachesToClear().isEmpty)
    }

    @Test func `forgets a token that is taken away, where it was shown`() async throws {
        let house = try await House()
        let cpo = house.cpo
        try await house.put(House.token("UNSEEN"))
        _ = try await house.started(House.start())
        for uid in ["UNSEEN", "driver-1"] {
            let isGone = try await cpo.write {
                try cpo.tokens.delete(uid: uid, party: House.party, at: House.noon, in: $0)
            }
            #expect(isGone)
            #expect(try await cpo.tokens.cachesToClear().count == (uid == "UNSEEN" ? 0 : 1))
        }
    }
}

@Suite struct `Tokens for a station's list` {
    @Test func `are the good ones, our own first, each tag once`() async throws {
        let house = try await House()
        var (expired, family) = (House.token("EXPIRED"), House.token("FAMILY-1"))
        expired.expires = House.noon
        family.groupID = "FAMILY"
        try await house.put(
            expired, family, House.partners("A-1", .allowedOffline),
            House.partners("A-2", .never), House.partners("driver-1", .always),
            House.partners("Z-1", .allowed, isValid: false),
            House.partners("a-tag-that-is-longer-than-twenty", .allowed))
        let listed = try await house.cpo.tokens.listable(at: House.noon, limit: 100)
        #expect(
            listed.map(\.entry.token) == [
                "DRIVER-1", "FAMILY-1", "A-1", Tokens.idTag(of: "a-tag-that-is-longer-than-twenty"),
            ])
        #expect(listed.map(\.isOfflineOnly) == [false, false, true, false])
        #expect(listed[1].entry.info?.group == "FAMILY")
        let two = try await house.cpo.tokens.listable(at: House.noon, limit: 2)
        #expect(two.map(\.entry.token) == ["DRIVER-1", "FAMILY-1"])
    }
}
