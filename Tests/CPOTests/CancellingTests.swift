import CPO
import Charging
import SQL
import StoreSupport
import TestSupport
import Testing

/// Lets go of a command that the station has already.
private struct LateLinks: StationLinks {
    let cancelled = AsyncStream<Void>.makeStream()

    func send(
        _ command: StationCommand, to station: String, deadlineSeconds: Int
    ) async throws(StationLinkError) -> CommandAnswer {
        for await _ in cancelled.stream { break }
        return .status("Accepted")
    }

    func cancel(_ command: String, at station: String) async -> Bool {
        cancelled.continuation.yield()
        return true
    }
}

@Suite struct `A command that is taken back` {
    private static let origin = CommandOrigin(door: "api", reference: "test")
    private static let password = StationCommand.changeSetting(
        key: "AuthorizationKey", value: "30313233343536373839")

    @Test func `is not said to be where the station has it`() async throws {
        let house = try await House()
        let links = LateLinks()
        let carrying = Task { try await house.cpo.commands.run(house.cpo, over: links) }
        let command = try await house.cpo.send(.clearCache, to: "CS-1", origin: Self.origin)
        for await change in house.cpo.commands.changes(of: command.id) where change.state == .sent {
            break
        }
        let answer = try await house.cpo.commands.cancel(command.id, in: house.cpo)
        guard case .tooLate(let settled) = answer else {
            Issue.record("said to be taken back: \(String(describing: answer))")
            return
        }
        #expect(settled.answer == "Accepted")
        carrying.cancel()
        _ = await carrying.result
    }

    @Test func `keeps no password`() async throws {
        let house = try await House()
        let command = try await house.cpo.send(Self.password, to: "CS-1", origin: Self.origin)
        _ = try await house.cpo.commands.cancel(command.id, in: house.cpo)
        let kept = try await house.cpo.commands.command(command.id)
        #expect(kept?.state == .failed)
        #expect(kept?.command == .changeSetting(key: "AuthorizationKey", value: "***"))
    }

    @Test func `by a restart keeps no password either`() async throws {
        let folder = TemporaryFolder()
        let path = folder.file("house.sqlite")
        var house = try await House(path: path)
        let command = try await house.cpo.send(Self.password, to: "CS-1", origin: Self.origin)
        await house.cpo.database.close()
        house = try await House(path: path, isNew: false)
        let running = house
        let carrying = Task {
            try await running.cpo.commands.run(running.cpo, over: LateLinks())
        }
        _ = try await house.cpo.commands.settled(command.id, withinSeconds: 5)
        let kept = try await house.cpo.commands.command(command.id)
        #expect(kept?.answer == "the server restarted")
        #expect(kept?.command == .changeSetting(key: "AuthorizationKey", value: "***"))
        carrying.cancel()
        _ = await carrying.result
        await house.cpo.database.close()
    }
}
