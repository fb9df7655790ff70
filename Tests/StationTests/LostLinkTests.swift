import Charging
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(1))) struct `A link lost while the boot is not answered` {
    @Test func `is given up and made anew`() async throws {
        let folder = TemporaryFolder()
        let station = try await TestStation.make(path: folder.file("journal.db"))
        let mute = TestOperator { _ in nil }
        let friendly = TestOperator()
        station.links.yield(mute)
        station.links.yield(friendly)
        try await station.during { () async throws in
            await mute.hears { $0.boots > 0 }
            mute.hangUp()
            await friendly.hears { $0.boots > 0 }
        }
    }
}
