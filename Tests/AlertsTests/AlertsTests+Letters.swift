import CPO
import Charging
import HTTPClient
import SQL
import Service
import StoreSupport
import TestSupport
import Testing

@testable import Alerts

// When and how they are told.
extension `Alerts of a house` {
    @Test func `wait for the end of the quiet hours, and vanish when all is over by then`()
        async throws
    {
        let house = try await house()
        let channel = TestChannel()
        var settings = AlertSettings()
        settings.quietHours = AlertSettings.QuietHours("11:00-13:30")
        let alerts = Alerts(house: house, settings: settings, channels: ["test"])
        let first = try await attach(house, "CS-1")
        let second = try await attach(house, "CS-2")
        try await detach(house, "CS-1", first)
        try await detach(house, "CS-2", second)
        clock.advance(milliseconds: 900_000)
        try await alerts.look(at: clock.now)
        try await alerts.tell(channel)
        #expect(channel.told.isEmpty)
        #expect(try await alerts.list(onlyOpen: true).count == 2)
        _ = try await attach(house, "CS-2")
        clock.advance(milliseconds: 4_500_000)
        try await alerts.look(at: clock.now)
        try await alerts.tell(channel)
        #expect(channel.told == [["raised stationOffline CS-1"]])
    }

    @Test func `are told again by a way that failed, and by each way once`() async throws {
        let house = try await house()
        let (mail, hook) = (TestChannel("mail"), TestChannel("webhook", mostAtOnce: 1))
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: ["mail", "webhook"])
        for id in ["CS-1", "CS-2"] {
            try await detach(house, id, try await attach(house, id))
        }
        clock.advance(milliseconds: 900_000)
        try await alerts.look(at: clock.now)
        mail.set(down: true)
        for channel in [mail, hook] { try await alerts.tell(channel) }
        #expect(mail.told.isEmpty)
        #expect(
            hook.told == [["raised stationOffline CS-1"], ["raised stationOffline CS-2"]])
        mail.set(down: false)
        try await alerts.tell(mail)
        #expect(mail.told.isEmpty)
        clock.advance(milliseconds: 30_000)
        for channel in [mail, hook] { try await alerts.tell(channel) }
        #expect(mail.told == [["raised stationOffline CS-1", "raised stationOffline CS-2"]])
        #expect(hook.told.count == 2)
    }

    @Test func `are three letters at most, the last with the number of the others`() async throws {
        let house = try await house()
        let channel = TestChannel(mostAtOnce: 2)
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: ["test"])
        for number in 10..<19 {
            try await detach(house, "CS-\(number)", try await attach(house, "CS-\(number)"))
        }
        clock.advance(milliseconds: 900_000)
        try await alerts.look(at: clock.now)
        try await alerts.tell(channel)
        #expect(channel.told.map(\.count) == [2, 2, 2])
        #expect(channel.more == [0, 0, 3])
        try await alerts.tell(channel)
        #expect(channel.told.count == 3)
    }

    @Test func `are silent once a person has seen them`() async throws {
        let house = try await house()
        let channel = TestChannel()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: ["test"])
        try await detach(house, "CS-1", try await attach(house, "CS-1"))
        clock.advance(milliseconds: 900_000)
        try await alerts.look(at: clock.now)
        let id = try #require(try await alerts.list().first?.id)
        let now = clock.now
        #expect(
            try await house.write { try alerts.acknowledge(id, by: "anna", at: now, in: $0) })
        #expect(
            try await !house.write { try alerts.acknowledge(99, by: "anna", at: now, in: $0) })
        _ = try await attach(house, "CS-1")
        try await alerts.look(at: clock.now)
        try await alerts.tell(channel)
        #expect(channel.told.isEmpty)
        #expect(try await alerts.list().first?.acknowledgedBy == "anna")
    }

    @Test(arguments: [
        ("22:00-06:30", "2027-01-15T21:59:00Z", "2027-01-15T21:59:00Z"),
        ("22:00-06:30", "2027-01-15T22:00:00Z", "2027-01-16T06:30:00Z"),
        ("22:00-06:30", "2027-01-16T06:29:59Z", "2027-01-16T06:30:00Z"),
        ("08:00-09:00", "2027-01-16T09:00:00Z", "2027-01-16T09:00:00Z"),
    ])
    func `know quiet hours over midnight`(_ text: String, _ now: String, _ release: String) throws {
        let hours = try #require(AlertSettings.QuietHours(text))
        let now = try #require(Timestamp(rfc3339: now))
        #expect(hours.release(at: now, in: .utc).rfc3339.prefix(19) == release.prefix(19))
    }

    @Test(arguments: [
        "", "22-06", "22:00", "24:00-06:00", "22:60-06:00", "22:00-22:00", "2:00-3:00",
    ])
    func `take no other quiet hours`(_ text: String) {
        #expect(AlertSettings.QuietHours(text) == nil)
    }

    @Test func `can be no header of a mail`() throws {
        let channel = MailChannel(
            MailSender(.init(url: "smtp://127.0.0.1")), from: "kerb@example.in",
            to: ["ops@example.in"], house: "Kerb", publicURL: "https://cpo.example.in")
        let alert = Alert(
            id: 1, kind: .stationOffline, subject: "CS\r\nBcc: x@evil.example",
            detail: "d\r\n.\r\n",
            raisedAt: clock.now)
        let letter = String(
            decoding: channel.letter(
                of: [AlertMessage(alert: alert, what: .raised, tries: 0)], at: clock.now, id: "1"),
            as: UTF8.self)
        #expect(!letter.contains("Bcc"))
        #expect(letter.contains("Date: Fri, 15 Jan 2027 12:00:00 +0000\r\n"))
        #expect(letter.split(separator: "\r\n").allSatisfy { $0.utf8.count <= 78 })
    }
}
