import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import TestSupport
import Testing
import Web

@testable import CSMS

// Files that stations are ordered to bring or to fetch.
extension `A file` {
    @Test func `of a station is ordered, comes, and goes when it is old`() async throws {
        let desk = try await Desk()
        let peer = try await desk.rig.connect("CS-1")
        _ = try await peer.boot()
        let origin = CommandOrigin(door: "api", reference: "anna")
        let command = try await desk.files.orderLog(
            .security, extended: true, station: "cs-1", origin: origin)
        guard case .maintenance(.sendLog(let order)) = command.command else {
            Issue.record("no order for a log")
            return
        }
        #expect(order.requestID == 1)
        let path = String(order.transfer.location.dropFirst(19))
        // Stations put a name of their own behind the address, or send to it as it is.
        try await #expect(desk.call("POST", "\(path)/log.txt", "events").contains("201"))
        // An answer that was lost: the station brings it once more.
        try await #expect(desk.call("PUT", path, "events").contains("201"))
        let found = try await desk.files.list(.log, station: "CS-1")
        #expect(found.map(\.size) == [6])
        #expect(found.first?.command == command.id)
        desk.rig.clock.advance(milliseconds: 31 * 86_400_000)
        try await desk.files.tidy()
        #expect(try await desk.files.list(.log, station: "CS-1").isEmpty)
        #expect(try desk.names() == [])
        await desk.end()
    }

    @Test func `makes room for newer logs`() async throws {
        let desk = try await Desk { $0.logBytesKept = 8 }
        let peer = try await desk.rig.connect("CS-1")
        _ = try await peer.boot()
        for text in ["first", "second"] {
            let command = try await desk.files.orderLog(
                .diagnostics, extended: false, station: "CS-1",
                origin: CommandOrigin(door: "api", reference: "anna"))
            guard case .maintenance(.sendLog(let order)) = command.command else { return }
            let path = String(order.transfer.location.dropFirst(19))
            try await #expect(desk.call("PUT", path, text).contains("201"))
            desk.rig.clock.advance(milliseconds: 1000)
        }
        try await desk.files.tidy()
        #expect(try await desk.files.list(.log).map(\.size) == [6])
        await peer.client.close()
        await desk.end()
    }

    @Test func `is kept while a campaign sends it`() async throws {
        let desk = try await Desk()
        _ = try await desk.rig.connect("CS-1").boot()
        let made = try await desk.invite()
        try await #expect(desk.call("PUT", made.path, "a").contains("201"))
        let now = desk.rig.clock.now
        var selection = CampaignSelection()
        selection.stations = ["CS-1"]
        let record = try await desk.rig.house.write {
            [house = desk.rig.house, files = desk.files, selection] transaction in
            let image = try #require(try files.image(made.file.id, in: transaction))
            return try house.campaigns.make(
                CampaignPlan(name: "c", image: image), image, selection, in: house, by: "anna",
                at: now, transaction: transaction)
        }
        await #expect(throws: FileStore.FileInUse(campaign: record.id)) {
            try await desk.files.remove(made.file.id) { _ in }
        }
        _ = try await desk.rig.house.write { [house = desk.rig.house] transaction in
            try house.campaigns.handle(.cancel, record.id, at: now, in: transaction)
        }
        #expect(try await desk.files.remove(made.file.id) { _ in })
        #expect(try desk.names() == [])
        await desk.end()
    }

    @Test func `that its maker signed is ordered with certificate, signature and a number`()
        async throws
    {
        let desk = try await Desk()
        let made = try await desk.invite {
            ($0.certificate, $0.signature) = ("PEM", "AA==")
        }
        try await #expect(desk.call("PUT", made.path, "a").contains("201"))
        let now = desk.rig.clock.now
        let orders = try await desk.rig.house.write { [files = desk.files] transaction in
            try [true, true, false].map {
                try files.order(made.file.id, for: "CS-1", signed: $0, at: now, in: transaction)
            }
        }
        #expect(orders.map { $0?.signed?.requestID } == [1, 2, nil])
        #expect(orders[0]?.signed?.certificate == "PEM")
        #expect(orders[0]?.signed?.signature == "AA==")
        // An address of its own each.
        #expect(Set(orders.compactMap { $0?.transfer.location }).count == 3)
        await desk.end()
    }

    @Test func `has an address that no log shows`() {
        #expect(
            FileLink.hidingTokens(in: #"{"location":"https://h/files/aB-_9/x.bin"}"#)
                == #"{"location":"https://h/files/***/x.bin"}"#)
        let order = TransferOrder(location: "https://h/files/aB-_9/x.bin")
        #expect(order.maskedLocation == "https://h/files/***/x.bin")
    }
}
