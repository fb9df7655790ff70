import CPO
import Charging
import SQL
import StoreSupport
import TestSupport
import Testing

@Suite struct `A charger's clock after a restart` {
    @Test func `is remembered as it was`() async throws {
        let folder = TemporaryFolder()
        let path = folder.file("house.sqlite")
        var house = try await House(path: path)
        for second in [0, 1] as [Int64] {
            _ = try await house.apply(House.status(second - 7200, .preparing), at: second)
        }
        await house.cpo.database.close()
        house = try await House(path: path, isNew: false)
        let command = try await house.cpo.start(
            .station("CS-1", connector: 1), token: House.token("STRANGER-1"),
            origin: CommandOrigin(door: "api", reference: "test"))
        _ = try await house.started(House.start(-7195, token: "STRANGER-1"), at: 10)
        #expect(try await house.cpo.commands.command(command.id)?.state == .seen)
        await house.cpo.database.close()
    }
}
