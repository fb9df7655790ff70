import Charging
import HAL
import OCPP
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(2))) struct `A reader that somebody floods` {
    private let folder = TemporaryFolder()

    @Test func `is heard three times at once, then once a second`() {
        var pace = TokenPace()
        func taken(from: Int64, _ count: Int64) -> Int64 {
            (0..<count).reduce(0) { $0 + (pace.admits(at: from + $1) ? 1 : 0) }
        }
        #expect(taken(from: 0, 500) == 3)
        #expect(taken(from: 1_000, 500) == 1)
        #expect(taken(from: 2_000, 3_000) == 3)
        #expect(taken(from: 60_000, 500) == 3)
    }

    @Test func `asks the operator no more than that, and is refused at the board`() async throws {
        let station = try await TestStation.make(path: folder.file("j.db"))
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            station.board.change { $0.isPlugged = true }
            await until { await station.controller.isPlugged }
            await until {
                await station.controller.remoteStart(token: "T", needsAuthorization: false) == nil
            }
            await peer.hears { $0.starts.count == 1 }
            let before = SystemClock().monotonicMilliseconds
            let (tokens, hand) = AsyncStream<String>.makeStream()
            for number in 1...300 { hand.yield("CARD\(number)") }
            hand.finish()
            await station.agent.present(tokensOf: tokens, at: 1)
            let seconds = (SystemClock().monotonicMilliseconds - before) / 1_000
            let asked = peer.heard.count { if case .authorizing = $0 { true } else { false } }
            #expect(asked <= 3 + Int(seconds))
            #expect(station.board.state.withLock { $0.indications }.contains(.refused))
        }
    }

    @Test func `opens no door that is only open to a board without a link`() async throws {
        let station = try await TestStation.make(
            path: folder.file("j.db"), settings: ["AllowOfflineTxForUnknownId": "true"],
            prepare: { configuration, _, _ in configuration.answerMilliseconds = 60_000 })
        let peer = TestOperator(script: { event in
            if case .authorizing = event { nil } else { TestOperator.friendly(event) }
        })
        station.links.yield(peer)
        let most = OCPPLimits.queuedCalls
        try await station.during { () async throws in
            await peer.hears(status: .available)
            let answers = await withTaskGroup(of: AuthorizationStatus.self) { group in
                for number in 0..<(most + 10) {
                    group.addTask { await station.agent.authorize(token: "CARD\(number)").status }
                }
                var answers: [AuthorizationStatus] = []
                for await answer in group {
                    answers.append(answer)
                    if answers.count == 10 { peer.hangUp() }
                }
                return answers
            }
            #expect(answers.prefix(10).allSatisfy { $0 == .invalid })
            #expect(answers.count { $0 == .accepted } == most)
        }
    }

    @Test func `has few questions open`() async throws {
        let station = try await TestStation.make(path: folder.file("j.db"))
        let peer = TestOperator(script: { event in
            if case .authorizing = event { nil } else { TestOperator.friendly(event) }
        })
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            await withDiscardingTaskGroup { group in
                for number in 0..<20 {
                    group.addTask {
                        await station.agent.ask(about: "CARD\(number)", of: station.controller)
                    }
                }
            }
            // Two were asked about, one after the other, and nobody answered.
            let asked = peer.heard.count { if case .authorizing = $0 { true } else { false } }
            #expect(asked <= 2)
            #expect(await station.agent.questions[1] == 0)
        }
    }

    @Test func `keeps nobody away whom the board knows by itself`() async throws {
        let station = try await TestStation.make(
            path: folder.file("j.db"), settings: ["LocalPreAuthorize": "true"],
            prepare: { configuration, _, _ in configuration.answerMilliseconds = 60_000 })
        let peer = TestOperator(script: { event in
            if case .authorizing = event { nil } else { TestOperator.friendly(event) }
        })
        station.links.yield(peer)
        let most = StationAgent.mostQuestions
        try await station.during { () async throws in
            await peer.hears(status: .available)
            try await station.agent.learn("KNOWN", AuthorizationInfo(.accepted))
            await withDiscardingTaskGroup { group in
                for number in 0..<most {
                    group.addTask {
                        await station.agent.ask(about: "CARD\(number)", of: station.controller)
                    }
                }
                await until { await station.agent.questions[1] == most }
                await station.controller.take(.token("KNOWN"))
                await station.agent.ask(about: "KNOWN", of: station.controller)
                guard case .granted("KNOWN", _, _, _) = await station.controller.machine.permission
                else {
                    Issue.record("the card was turned away")
                    return peer.hangUp()
                }
                peer.hangUp()
            }
        }
    }
}
