import Charging
import JSON
import SQL
import TestSupport
import Testing

@testable import CPO

@Suite struct `A template of settings` {
    private func house(_ settings: [SettingTemplate.Setting]) async throws -> House {
        let house = try await House()
        let template = SettingTemplate(
            id: "T", vendor: "V", model: "M", settings: settings, changedAt: House.noon)
        _ = try await house.apply(
            .booted(StationIdentity(vendor: "v", model: "m", serial: nil, firmware: nil)))
        _ = try await house.cpo.write {
            try house.cpo.templates.put(template, at: House.noon, in: $0)
        }
        return house
    }

    private func heard(
        _ house: House, _ command: StationCommand, _ answer: CommandAnswer
    ) async throws {
        let (state, text) = Commands.read(answer)
        var row = Command(
            id: "C", station: "CS-1", command: command,
            origin: CommandOrigin(door: "api", reference: "x"), createdAt: House.noon)
        (row.state, row.answer) = (state, text)
        let (journal, now, heard) = (house.cpo.journal, house.clock.now, row)
        try await house.cpo.write {
            try Templates.heard(heard, at: now, journal, in: $0)
        }
    }

    private func drift(_ house: House) async throws -> [String] {
        let found = try #require(
            try await house.cpo.templates.drift(of: "CS-1", in: house.cpo))
        return found.settings.map { "\($0.key) \($0.state.rawValue)" }
    }

    @Test func `shows how far a station is from it`() async throws {
        let house = try await house([
            .init(key: "HeartbeatInterval", value: "300"),
            .init(key: "MeterValuesSampledData", value: "Power.Active.Import, Voltage"),
            .init(key: "AuthorizeRemoteTxRequests", value: "false"),
            .init(key: "VendorThing", value: "1"), .init(key: "Unread", value: "1"),
        ])
        #expect(try await drift(house).allSatisfy { $0.hasSuffix("unread") })
        try await heard(
            house, .getSettings(keys: []),
            .settings(
                [
                    Setting(key: "heartbeatinterval", value: "60", isReadOnly: false),
                    Setting(
                        key: "MeterValuesSampledData", value: "Power.Active.Import,Voltage",
                        isReadOnly: false),
                    Setting(
                        key: "AuthorizeRemoteTxRequests", value: "False", isReadOnly: true),
                ], unknown: ["VendorThing"]))
        #expect(
            try await drift(house) == [
                "HeartbeatInterval differs", "MeterValuesSampledData same",
                "AuthorizeRemoteTxRequests same", "VendorThing notSupported", "Unread unread",
            ])
    }

    @Test(arguments: [
        ("Accepted", "same"), ("RebootRequired", "rebootRequired"), ("Rejected", "differs"),
        ("NotSupported", "notSupported"),
    ])
    func `is applied key by key, and each answer is kept`(
        _ answer: String, _ state: String
    ) async throws {
        let house = try await house([.init(key: "HeartbeatInterval", value: "300")])
        try await heard(
            house, .getSettings(keys: []),
            .settings(
                [Setting(key: "HeartbeatInterval", value: "60", isReadOnly: false)],
                unknown: []))
        let now = house.clock.now
        let sent = try await house.cpo.write { transaction in
            try house.cpo.templates.apply(
                "CS-1", in: house.cpo, origin: CommandOrigin(door: "api", reference: "x"), at: now,
                transaction: transaction)
        }
        #expect(sent.map(\.command) == [.changeSetting(key: "HeartbeatInterval", value: "300")])
        try await heard(house, sent[0].command, .status(answer))
        #expect(try await drift(house) == ["HeartbeatInterval \(state)"])
    }

    @Test func `is asked for after a boot, once`() async throws {
        let house = try await house(
            (1...12).map { .init(key: "K\($0)", value: "1") })
        func asked() async throws -> [Int] {
            try await house.cpo.templates.look(house.cpo)
            return try await house.cpo.commands.list().compactMap {
                if case .getSettings(let keys) = $0.command { keys.count } else { nil }
            }.sorted()
        }
        #expect(try await asked().isEmpty)
        house.clock.advance(milliseconds: 11_000)
        #expect(try await asked() == [2, 10])
        house.clock.advance(milliseconds: 60_000)
        #expect(try await asked() == [2, 10])
        _ = try await house.apply(
            .booted(StationIdentity(vendor: "V", model: "M", serial: nil, firmware: nil)))
        house.clock.advance(milliseconds: 11_000)
        #expect(try await asked() == [2, 2, 10, 10])
    }

    @Test func `is asked for once a day, as somebody may have changed it at the station`()
        async throws
    {
        let house = try await house([.init(key: "K", value: "1")])
        func asked() async throws -> Int {
            try await house.cpo.templates.look(house.cpo)
            return try await house.cpo.commands.list().count
        }
        house.clock.advance(milliseconds: 11_000)
        #expect(try await asked() == 1)
        house.clock.advance(milliseconds: 86_399_000)
        #expect(try await asked() == 1)
        house.clock.advance(milliseconds: 2000)
        #expect(try await asked() == 2)
        #expect(try await asked() == 2)
    }

    @Test func `is found whatever letters its vendor has`() async throws {
        let house = try await House()
        let template = SettingTemplate(
            id: "T", vendor: "Ökostrom", model: "Säule", settings: [.init(key: "K", value: "1")],
            changedAt: House.noon)
        _ = try await house.cpo.write {
            try house.cpo.templates.put(template, at: House.noon, in: $0)
        }
        let identity = StationIdentity(
            vendor: "ÖKOSTROM", model: "SÄULE", serial: nil, firmware: nil)
        _ = try await house.apply(.booted(identity))
        house.clock.advance(milliseconds: 11_000)
        try await house.cpo.templates.look(house.cpo)
        #expect(try await house.cpo.commands.list().count == 1)
        let stations = try await house.cpo.read {
            try house.cpo.templates.stations(of: template, in: $0).map(\.station.id)
        }
        #expect(stations == ["CS-1"])
    }

    @Test func `is the only one of its model`() async throws {
        let house = try await house([.init(key: "K", value: "1")])
        let other = SettingTemplate(
            id: "U", vendor: "V", model: "m", settings: [.init(key: "K", value: "2")],
            changedAt: House.noon)
        let taken = try await house.cpo.write {
            try house.cpo.templates.put(other, at: House.noon, in: $0)
        }
        #expect(taken == "T")
    }

    @Test func `keeps no secret of a station`() async throws {
        let house = try await house([.init(key: "K", value: "1")])
        try await heard(
            house, .changeSetting(key: "AuthorizationKey", value: "secret"), .status("Accepted"))
        try await heard(
            house, .getSettings(keys: []),
            .settings(
                [Setting(key: "AuthorizationKey", value: "secret", isReadOnly: false)],
                unknown: []))
        let rows = try await house.cpo.read { try $0.query("SELECT * FROM station_setting") }
        #expect(rows.isEmpty)
    }
}
