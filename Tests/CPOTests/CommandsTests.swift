import CPO
import Charging
import SQL
import Service
import TestSupport
import Testing

/// A station that answers by script.
struct ScriptedLinks: StationLinks {
    let asked = Lock([StationCommand]())
    let answer: Result<CommandAnswer, StationLinkError>

    func send(
        _ command: StationCommand, to station: String, deadlineSeconds: Int
    ) async throws(StationLinkError) -> CommandAnswer {
        asked.withLock { $0.append(command) }
        return try answer.get()
    }
}

@Suite struct `A command` {
    private static let origin = CommandOrigin(door: "ocpi", reference: "r-1")

    private static func carrying<T: Sendable>(
        _ house: House, _ answer: Result<CommandAnswer, StationLinkError>,
        _ body: @Sendable @escaping (ScriptedLinks) async throws -> T
    ) async throws -> T {
        let links = ScriptedLinks(answer: answer)
        return try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask {
                try await house.cpo.commands.run(house.cpo, over: links)
                return nil
            }
            group.addTask { try await body(links) }
            while let result = try await group.next() {
                guard let result else { continue }
                group.cancelAll()
                return result
            }
            throw CancellationError()
        }
    }

    private static func states(_ house: House, _ id: String) async -> [Command.State] {
        var states: [Command.State] = []
        for await command in house.cpo.commands.changes(of: id) {
            if states.last != command.state { states.append(command.state) }
        }
        return states
    }

    @Test(.timeLimit(.minutes(1)))
    func `that was ordered before anybody carried is carried as well`() async throws {
        let house = try await House()
        let early = try await house.cpo.send(.clearCache, to: "CS-1", origin: Self.origin)
        let states = try await Self.carrying(house, .success(.status("Accepted"))) { _ in
            await Self.states(house, early.id)
        }
        #expect(states.last == .seen)
    }

    @Test func `to start joins the session that follows`() async throws {
        let house = try await House()
        let token = Token(
            party: PartyID(country: "NL", party: "EMS"),
            uid: "app-user-with-a-very-long-identifier",
            kind: .appUser, contractID: "NL-EMS-1", issuer: "EMS", lastUpdated: House.noon)
        let final = try await Self.carrying(house, .success(.status("Accepted"))) { links in
            let command = try await house.cpo.start(
                .evse(uid: "e-1"), token: token, authorizationReference: "AUTH-7",
                origin: Self.origin)
            let answered = try await house.cpo.commands.settled(command.id, withinSeconds: 5)
            #expect(answered?.state == .accepted)
            guard case .start(let connector, let idTag) = links.asked.withLock({ $0[0] }) else {
                throw House.Unexpected.reply
            }
            #expect(connector == 1)
            #expect(idTag.utf8.count == 20)
            #expect(
                try await house.apply(.authorizing(token: idTag))
                    == .authorization(AuthorizationInfo(.accepted)))
            let (_, status) = try await house.started(House.start(0, token: idTag))
            #expect(status == .accepted)
            // The same start again is not another one, and is still welcome.
            #expect(try await house.started(House.start(0, token: idTag)).1 == .accepted)
            for await command in house.cpo.commands.changes(of: command.id)
            where command.state.isFinal { return command }
            throw House.Unexpected.reply
        }
        let session = try #require(house.cpo.sessions.running().first)
        #expect(final.state == .seen)
        #expect(final.effect == session.id)
        #expect(session.token == token)
        #expect(session.authMethod == .command)
        #expect(session.authorizationReference == "AUTH-7")
    }

    @Test(arguments: [
        (
            Result<CommandAnswer, StationLinkError>.success(.status("Rejected")),
            Command.State.rejected
        ),
        (.failure(.timedOut), .timedOut), (.failure(.lost), .timedOut),
        (.failure(.offline), .failed),
        (.failure(.refused(code: "InternalError", description: "")), .failed),
        (.success(.foreign(payload: #"{"status":"Rejected"}"#)), .rejected),
        (.success(.foreign(payload: "{}")), .seen),
        (.success(.status("Unlocked")), .seen),
    ])
    func `ends as the station lets it`(
        answer: Result<CommandAnswer, StationLinkError>, state: Command.State
    ) async throws {
        let house = try await House()
        let states = try await Self.carrying(house, answer) { _ in
            let command = try await house.cpo.send(
                .unlock(connector: 1), to: "cs-1", origin: Self.origin)
            return await Self.states(house, command.id)
        }
        #expect(states.last == state)
    }

    @Test func `forgets the secret it carried once it is answered`() async throws {
        let house = try await House()
        let stored = try await Self.carrying(house, .success(.status("Accepted"))) { links in
            let command = try await house.cpo.send(
                .changeSetting(key: "AuthorizationKey", value: "30313233"), to: "CS-1",
                origin: Self.origin)
            _ = try await house.cpo.commands.settled(command.id, withinSeconds: 5)
            #expect(
                links.asked.withLock { $0 }
                    == [.changeSetting(key: "AuthorizationKey", value: "30313233")])
            return try await house.cpo.commands.command(command.id)
        }
        #expect(stored?.command == .changeSetting(key: "AuthorizationKey", value: "***"))
    }

    @Test(arguments: [
        CommandAnswer.settings(
            [
                Setting(key: "AuthorizationKey", value: "30313233", isReadOnly: false),
                Setting(key: "HeartbeatInterval", value: "300", isReadOnly: false),
            ], unknown: []),
        .foreign(
            payload: #"{"configurationKey":[{"key":"WifiPassword","value":"30313233"},"#
                + #"{"key":"HeartbeatInterval","value":"300"}]}"#),
        .foreign(payload: #"{"status":"Accepted","wifiPassword":"30313233","beat":300}"#),
    ])
    func `keeps no password that the station tells`(_ answer: CommandAnswer) async throws {
        let house = try await House()
        let stored = try await Self.carrying(house, .success(answer)) { _ in
            let command = try await house.cpo.send(
                .getSettings(keys: []), to: "CS-1", origin: Self.origin)
            return try await house.cpo.commands.settled(command.id, withinSeconds: 5)
        }
        let kept = try #require(stored?.answer)
        #expect(!kept.contains("30313233"))
        #expect(stored?.effect?.contains("30313233") == false)
        // All else stays as it was told.
        #expect(kept.contains("***") && kept.contains("300"))
    }

    @Test func `to start under a profile joins the session that follows as well`() async throws {
        let house = try await House()
        let profile = ChargingProfile(
            id: 7, stackLevel: 2, purpose: .transaction, kind: .relative,
            schedule: ChargingSchedule(unit: .amperes, periods: [.init(start: 0, tenths: 160)]))
        let states = try await Self.carrying(house, .success(.status("Accepted"))) { _ in
            let command = try await house.cpo.send(
                .startLimited(connector: 1, token: "GUEST-9", profile), to: "CS-1",
                origin: Self.origin)
            _ = try await house.cpo.commands.settled(command.id, withinSeconds: 5)
            let (_, status) = try await house.started(House.start(0, token: "GUEST-9"))
            #expect(status == .accepted)
            return await Self.states(house, command.id)
        }
        #expect(states.last == .seen)
    }

    @Test func `to set availability is not seen in a status of before it`() async throws {
        let house = try await House()
        let state = try await Self.carrying(house, .success(.status("Accepted"))) { _ in
            let command = try await house.cpo.send(
                .setAvailability(connector: 1, operative: false), to: "CS-1", origin: Self.origin)
            _ = try await house.cpo.commands.settled(command.id, withinSeconds: 5)
            _ = try await house.apply(House.status(-86_400, .unavailable), at: 10)
            let before = try await house.cpo.commands.command(command.id)?.state
            _ = try await house.apply(House.status(20, .unavailable), at: 20)
            return (before, try await house.cpo.commands.command(command.id)?.state)
        }
        #expect(state == (.accepted, .seen))
    }

    @Test func `to stop is seen when the session ends`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        let id = try #require(house.cpo.sessions.running().first?.id)
        let states = try await Self.carrying(house, .success(.status("Accepted"))) { links in
            let command = try await house.cpo.stop(session: id, origin: Self.origin)
            _ = try await house.cpo.commands.settled(command.id, withinSeconds: 5)
            #expect(links.asked.withLock { $0 } == [.stop(.number(transaction))])
            _ = try await house.apply(House.stop(transaction, 60, 1200, reason: .remote), at: 60)
            return await Self.states(house, command.id)
        }
        #expect(states.last == .seen)
    }

    @Test func `that cannot work is refused before it is a row`() async throws {
        let house = try await House()
        let token = House.token("DRIVER-1")
        _ = try await house.started(House.start(0))
        await #expect(throws: CommandRefusal.occupied) {
            try await house.cpo.start(.evse(uid: "E-1"), token: token, origin: Self.origin)
        }
        await #expect(throws: CommandRefusal.unknownEVSE) {
            try await house.cpo.start(.evse(uid: "E-9"), token: token, origin: Self.origin)
        }
        await #expect(throws: CommandRefusal.unknownSession) {
            try await house.cpo.stop(session: "nowhere", origin: Self.origin)
        }
        _ = try await house.apply(House.status(0, .faulted, connector: 2))
        await #expect(throws: CommandRefusal.inoperative) {
            try await house.cpo.start(.evse(uid: "E-2"), token: token, origin: Self.origin)
        }
        _ = try await house.cpo.write {
            try house.cpo.stations.detached("CS-1", epoch: 1, at: House.noon, in: $0)
        }
        await #expect(throws: CommandRefusal.offline) {
            try await house.cpo.start(.evse(uid: "E-2"), token: token, origin: Self.origin)
        }
    }

    @Test func `to start is taken where the plug lost the stop of an older charge`() async throws {
        let house = try await House()
        _ = try await house.started(House.start(0))
        _ = try await house.apply(House.status(60, .available), at: 60)
        let command = try await house.cpo.start(
            .evse(uid: "E-1"), token: House.token("DRIVER-1"), origin: Self.origin)
        #expect(command.state == .queued)
    }

    @Test func `whose effect never comes is given up`() async throws {
        let house = try await House()
        let states = try await Self.carrying(house, .success(.status("Accepted"))) { _ in
            let command = try await house.cpo.start(
                .evse(uid: "E-1"), token: House.token("DRIVER-1"), origin: Self.origin)
            _ = try await house.cpo.commands.settled(command.id, withinSeconds: 5)
            async let states = Self.states(house, command.id)
            for _ in 0..<60 {
                await house.clock.sleepers(atLeast: 1)
                house.clock.advance(milliseconds: 5000)
            }
            return await states
        }
        #expect(states.last == .timedOut)
    }

    @Test func `that waits for the end of a charge is seen when it comes`() async throws {
        let house = try await House()
        let scheduled = try await Self.carrying(house, .success(.status("Scheduled"))) { _ in
            let cpo = house.cpo
            let order = try await cpo.send(
                .setAvailability(connector: 1, operative: false), to: "CS-1",
                origin: Self.origin)
            // Beside it one that is given up after the usual time, so that the time is known to be over.
            let other = try await cpo.send(.reset(.soft), to: "CS-1", origin: Self.origin)
            for command in [order, other] {
                let settled = try await cpo.commands.settled(command.id, withinSeconds: 5)
                #expect(settled?.state == .accepted)
            }
            async let given = Self.states(house, other.id)
            for _ in 0..<60 {
                await house.clock.sleepers(atLeast: 1)
                house.clock.advance(milliseconds: 5000)
            }
            #expect(await given.last == .timedOut)
            return order.id
        }
        func state() async throws -> Command.State? {
            try await house.cpo.commands.command(scheduled)?.state
        }
        #expect(try await state() == .accepted)
        _ = try await house.apply(House.status(600, .unavailable), at: 600)
        #expect(try await state() == .seen)
    }

    @Test func `for an availability that is there already is seen at once`() async throws {
        let house = try await House()
        for connector in [1, 2] {
            _ = try await house.apply(House.status(0, .unavailable, connector: connector))
        }
        let states = try await Self.carrying(house, .success(.status("Accepted"))) { _ in
            var states: [Command.State?] = []
            for order in [
                StationCommand.setAvailability(connector: 1, operative: false),
                // The station says nothing of itself: all its connectors do.
                .setAvailability(connector: 0, operative: false),
                .setAvailability(connector: 2, operative: true),
            ] {
                let command = try await house.cpo.send(order, to: "CS-1", origin: Self.origin)
                states.append(
                    try await house.cpo.commands.settled(command.id, withinSeconds: 5)?.state)
            }
            return states
        }
        #expect(states == [.seen, .seen, .accepted])
        _ = try await house.apply(House.status(1, .available, connector: 2), at: 1)
        let last = try await house.cpo.commands.list().first { $0.state != .seen }
        #expect(last == nil)
    }
}
