import Charging
import SQL
import Service
import TestSupport
import Testing

@testable import CPO

@Suite(.timeLimit(.minutes(1))) struct `A partner's token` {
    private func house(_ owners: ScriptedOwners, _ tokens: Token...) async throws -> House {
        let house = try await House()
        house.cpo.realTime.connect(owners)
        let cpo = house.cpo
        try await cpo.write { transaction in
            for token in tokens { try cpo.tokens.put(token, at: House.noon, in: transaction) }
        }
        return house
    }

    @Test func `that nobody may keep is asked for, and charges by its owner's word`() async throws {
        let owners = ScriptedOwners()
        let house = try await house(owners, House.partners("NEVER-1", .never))
        var told = House.partners("never-1", .never)
        told.contractID = "NL-EMS-NEW"
        told.lastUpdated = House.noon.advanced(bySeconds: 5)
        owners.answer("NEVER-1", .allowed(told, reference: "REF-7", evses: nil))
        #expect(try await house.shown("NEVER-1").status == .accepted)
        let question = try #require(owners.asked.first)
        #expect(question.location == "L-1")
        #expect(question.evses == ["E-1", "E-2"])
        // The start after the card is the same question: its answer is kept.
        let (number, status) = try await house.started(House.start(token: "never-1"))
        #expect(status == .accepted)
        #expect(owners.asked.count == 1)
        let session = try #require(house.cpo.sessions.running().first)
        #expect(session.authMethod == .authRequest)
        #expect(session.authorizationReference == "REF-7")
        #expect(session.token.contractID == "NL-EMS-NEW")
        #expect(session.suspicions.isEmpty)
        // The answer was lost, and meanwhile forgotten: its word for this charge stands.
        house.clock.advance(milliseconds: OwnerAnswers.allowedMilliseconds)
        owners.answer("NEVER-1", .silent(reason: "down"))
        #expect(try await house.started(House.start(token: "never-1")) == (number, .accepted))
        let stop = StationEvent.sessionStopped(
            SessionStop(
                transaction: .number(number), meterStop: WattHours(1500),
                at: House.noon.advanced(bySeconds: 60), reason: .local, token: "NEVER-1"))
        guard case .stopped(let info) = try await house.apply(stop, at: 60) else {
            throw House.Unexpected.reply
        }
        #expect(info?.status == .accepted)
    }

    @Test(arguments: [
        (Token.Whitelist.always, true, AuthorizationStatus.accepted, false),
        (.allowed, true, .accepted, false), (.always, false, .blocked, false),
        (.allowed, false, .blocked, false), (.allowedOffline, true, .accepted, true),
        (.allowedOffline, false, .blocked, true), (.never, true, .invalid, true),
        (.never, false, .blocked, true),
    ])
    func `is judged by its whitelist when its owner is silent`(
        whitelist: Token.Whitelist, isValid: Bool, expected: AuthorizationStatus, isAsked: Bool
    ) async throws {
        let owners = ScriptedOwners()
        let house = try await house(owners, House.partners("P-1", whitelist, isValid: isValid))
        #expect(try await house.shown("P-1").status == expected)
        #expect(owners.asked.count == (isAsked ? 1 : 0))
        // Silence is not kept: the next card asks again.
        _ = try await house.shown("P-1")
        #expect(owners.asked.count == (isAsked ? 2 : 0))
    }

    @Test(arguments: [
        (OwnerAnswer.refused(.blocked), AuthorizationStatus.blocked),
        (.refused(.expired), .expired), (.refused(.invalid), .invalid), (.unknown, .invalid),
        (.allowed(nil, reference: nil, evses: ["E-9"]), .invalid),
        (.allowed(nil, reference: nil, evses: ["e-2"]), .accepted),
    ])
    func `is refused where its owner refuses it`(
        answer: OwnerAnswer, expected: AuthorizationStatus
    ) async throws {
        let owners = ScriptedOwners()
        let house = try await house(owners, House.partners("P-1", .allowedOffline))
        owners.answer("P-1", answer)
        #expect(try await house.shown("P-1").status == expected)
        // Good for one connector only, where the owner says so.
        if expected == .accepted {
            #expect(try await house.started(House.start(token: "P-1")).1 == .invalid)
            #expect(
                try await house.started(House.start(connector: 2, token: "P-1")).1 == .accepted)
        }
    }

    @Test func `that is blocked here is asked for where it must be`() async throws {
        let owners = ScriptedOwners()
        let house = try await house(owners, House.partners("P-1", .never, isValid: false))
        owners.answer("P-1", .allowed(nil, reference: nil, evses: nil))
        #expect(try await house.shown("P-1").status == .accepted)
    }

    @Test func `waits for its owner no longer than the deadline`() async throws {
        let owners = ScriptedOwners()
        let house = try await house(owners, House.partners("P-1", .allowedOffline))
        owners.hang()
        async let info = house.shown("P-1")
        await house.clock.sleepers(atLeast: 1)
        // The deadline's sleep and the question begin in any order.
        while owners.asked.isEmpty { await Task.yield() }
        house.clock.advance(milliseconds: 4999)
        #expect(owners.asked.count == 1)
        house.clock.advance(milliseconds: 1)
        #expect(try await info.status == .accepted)
    }

    @Test func `is asked for again once its owner told something new`() async throws {
        let owners = ScriptedOwners()
        let house = try await house(owners, House.partners("P-1", .never))
        owners.answer("P-1", .allowed(House.partners("P-1", .never), reference: nil, evses: nil))
        #expect(try await house.shown("P-1").status == .accepted)
        var blocked = House.partners("P-1", .never, isValid: false)
        blocked.lastUpdated = House.noon.advanced(bySeconds: 1)
        try await house.put(blocked)
        owners.answer("P-1", .refused(.blocked))
        #expect(try await house.shown("P-1").status == .blocked)
        #expect(owners.asked.count == 2)
    }

    @Test(arguments: [true, false])
    func `is judged by what its owner told by a quicker way`(tellsToken: Bool) async throws {
        let owners = ScriptedOwners()
        let old = House.partners("P-1", .never)
        let house = try await house(owners, old)
        owners.answer("P-1", .allowed(tellsToken ? old : nil, reference: nil, evses: nil))
        var blocked = House.partners("P-1", .never, isValid: false)
        blocked.lastUpdated = House.noon.advanced(bySeconds: 1)
        let new = blocked
        owners.meanwhile { try await house.put(new) }
        #expect(try await house.shown("P-1").status == .blocked)
        let cpo = house.cpo
        #expect(try await cpo.read { try cpo.tokens.candidates(idTag: "P-1", in: $0) } == [new])
        // Nor is it kept for the next card.
        owners.meanwhile(nil)
        owners.answer("P-1", .refused(.blocked))
        #expect(try await house.shown("P-1").status == .blocked)
        #expect(owners.asked.count == 2)
    }

    @Test func `that nobody may keep is asked for at each charge`() async throws {
        let owners = ScriptedOwners()
        let house = try await house(owners, House.partners("P-1", .never))
        owners.answer("P-1", .allowed(nil, reference: nil, evses: nil))
        #expect(try await house.shown("P-1").status == .accepted)
        #expect(try await house.started(House.start(token: "P-1")).1 == .accepted)
        #expect(owners.asked.count == 1)
        owners.answer("P-1", .refused(.blocked))
        #expect(try await house.started(House.start(30, token: "P-1"), at: 30).1 == .blocked)
        #expect(owners.asked.count == 2)
    }

    @Test func `is not asked for out of a backlog, nor after an order`() async throws {
        let owners = ScriptedOwners()
        let house = try await house(owners, House.partners("P-1", .never))
        owners.answer("P-1", .allowed(nil, reference: nil, evses: nil))
        let old = House.start(-7200, token: "P-1")
        #expect(try await house.started(old).1 == .invalid)
        let ordered = try await house.cpo.start(
            .evse(uid: "E-2"), token: House.partners("P-1", .never),
            origin: CommandOrigin(door: "ocpi", reference: "1"))
        #expect(ordered.state == .queued)
        #expect(
            try await house.started(House.start(connector: 2, token: "P-1")).1 == .accepted)
        #expect(owners.asked.isEmpty)
    }

    @Test func `that nobody knew is taken in by who vouches for it`() async throws {
        let owners = ScriptedOwners(asksForUnknown: true)
        let house = try await house(owners)
        owners.answer(
            "NEW-1", .allowed(House.partners("new-1", .allowed), reference: "R", evses: nil))
        #expect(try await house.started(House.start(token: "NEW-1 ")).1 == .accepted)
        let session = try #require(house.cpo.sessions.running().first)
        #expect(session.token.party == ScriptedOwners.emsp)
        #expect(session.authorizationReference == "R")
        // From now on the registry knows it, with its whitelist.
        #expect(try await house.shown("NEW-1").status == .accepted)
        #expect(owners.asked.count == 1)
        // Another tag's token is nobody's word for this one.
        owners.answer(
            "NEW-2", .allowed(House.partners("OTHER", .allowed), reference: nil, evses: nil))
        #expect(try await house.shown("NEW-2").status == .invalid)
    }

    @Test func `of two owners charges for the one who allows it`() async throws {
        let other = PartyID(country: "DE", party: "TWO")
        let owners = ScriptedOwners([ScriptedOwners.emsp, other])
        var second = House.partners("TWICE", .never)
        second.party = other
        let house = try await house(owners, House.partners("TWICE", .never), second)
        owners.answer("TWICE", .allowed(nil, reference: nil, evses: nil))
        #expect(try await house.started(House.start(token: "TWICE")).1 == .accepted)
        #expect(owners.asked.count == 2)
    }
}

@Suite struct `Kept answers of owners` {
    @Test func `are bounded in number and time`() {
        let answers = OwnerAnswers()
        func question(_ number: Int) -> OwnerQuestion {
            OwnerQuestion(party: ScriptedOwners.emsp, uid: "P-\(number)", kind: .rfid)
        }
        answers.keep(.refused(.blocked), of: question(0), at: 0)
        answers.keep(.silent(reason: ""), of: question(1), at: 0)
        #expect(answers.find(question(0), at: OwnerAnswers.refusedMilliseconds - 1) != nil)
        #expect(answers.find(question(0), at: OwnerAnswers.refusedMilliseconds) == nil)
        #expect(answers.find(question(1), at: 0) == nil)
        for number in 0...(2 * OwnerAnswers.mostAnswers) {
            answers.keep(.unknown, of: question(number), at: 0)
        }
        #expect(answers.count <= OwnerAnswers.mostAnswers)
        #expect(answers.find(question(2 * OwnerAnswers.mostAnswers), at: 0) != nil)
    }
}
