import CPO
import Charging
import Testing

@testable import CSMS

@Suite struct `A plan for a local list` {
    private func entries(_ tags: String..., status: AuthorizationStatus = .accepted)
        -> [LocalListUpdate.Entry]
    {
        tags.map { LocalListUpdate.Entry(token: $0, info: AuthorizationInfo(status)) }
    }

    @Test func `sends the whole list in chunks where nobody knows what is there`() {
        let updates = LocalListPlan.updates(
            from: nil, to: entries("A", "B", "C", "D", "E"), above: 7, most: 2)
        #expect(updates.map(\.kind) == [.full, .differential, .differential])
        #expect(updates.map(\.version) == [8, 9, 10])
        #expect(updates.map { $0.entries.map(\.token) } == [["A", "B"], ["C", "D"], ["E"]])
        // An empty list is sent as well: it clears.
        let cleared = LocalListPlan.updates(from: nil, to: [], above: 0, most: 2)
        #expect(cleared.map(\.kind) == [.full])
        #expect(cleared[0].version == 1 && cleared[0].entries.isEmpty)
    }

    @Test func `sends differences, what goes first`() {
        var old = entries("A", "B", "C", "D")
        var new = entries("a", "C", "D", "E")
        // A group, and another spelling of the same tag, are changes.
        new[1].info?.group = "G"
        // As many differences as entries: then whole.
        let updates = LocalListPlan.updates(from: old, to: new, above: 3, most: 3)
        #expect(updates.map(\.kind) == [.full, .differential])
        new = entries("A", "C", "D", "E")
        let small = LocalListPlan.updates(from: old, to: new, above: 3, most: 10)
        #expect(small.map(\.kind) == [.differential])
        #expect(small[0].entries.map(\.token) == ["B", "E"])
        #expect(small[0].entries[0].info == nil)
        old = new
        #expect(LocalListPlan.updates(from: old, to: new, above: 3, most: 10).isEmpty)
    }

    @Test func `never runs out of versions`() {
        let last = Int(Int32.max)
        let updates = LocalListPlan.updates(
            from: entries("A", "B", "C"), to: entries("A", "B", "C", "D"), above: last, most: 3)
        #expect(updates.map(\.kind) == [.full, .differential])
        #expect(updates.map(\.version) == [1, 2])
        let fits = LocalListPlan.updates(
            from: entries("A", "B"), to: entries("A", "B", "C"), above: last - 1, most: 9)
        #expect(fits.map(\.version) == [last])
    }

    @Test func `keeps to what a station can hold`() {
        let tokens = ["A", "B", "C"].enumerated().map { number, tag in
            ListedToken(
                entry: LocalListUpdate.Entry(token: tag, info: AuthorizationInfo(.accepted)),
                isOfflineOnly: number == 1)
        }
        let two = LocalListContent(
            tokens, fitting: LocalListLimits(mostEntries: 2, mostPerMessage: 1))
        #expect(two.entries.map(\.token) == ["A", "B"])
        #expect(two.isCut)
        // Where it looks at its list while it is online, nobody would ask the owner.
        let online = LocalListContent(
            tokens,
            fitting: LocalListLimits(mostEntries: 9, mostPerMessage: 1, looksWhileOnline: true))
        #expect(online.entries.map(\.token) == ["A", "C"])
        #expect(!online.isCut)
        let absurd = LocalListLimits(mostEntries: 1_634_030_126, mostPerMessage: -4)
        #expect(absurd.mostEntries == 100_000 && absurd.mostPerMessage == 1)
    }
}
