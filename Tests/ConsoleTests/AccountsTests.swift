import JSON
import SQL
import TestSupport
import Testing
import Web

@testable import Console

@Suite struct `An API key` {
    @Test(arguments: [0, 1, 2])
    func `counts no more once it is revoked, by prefix, name or as a whole`(way: Int) async throws {
        let console = try await TestConsole()
        let prefix = String(console.viewer.split(separator: "_")[1])
        #expect(try await console.get("/me", key: console.viewer).status == 200)
        let said = [prefix, "wall", console.viewer][way]
        let line = try await console.console.keys.revoke(said, by: "command line")
        #expect(line.prefix == prefix && line.revokedAt == console.clock.now)
        #expect(try await console.get("/me", key: console.viewer).status == 401)
        #expect(try await console.get("/me", key: console.operator).status == 200)
        await #expect(throws: AccountError.unknownKey(prefix)) {
            try await console.console.keys.revoke(prefix, by: "command line")
        }
        let listed = try await console.console.keys.list()
        #expect(listed.filter { $0.revokedAt != nil }.map(\.name) == ["wall"])
        let audit = try await console.get("/audit")
        let told = audit["items"]?.array?.first
        #expect(told?["action"] == "key.revoke" && told?["subject"]?.string == prefix)
        #expect(told?["who"] == "command line" && told?["detail"]?["name"] == "wall")
        await console.server.stop()
    }

    @Test func `is found by a name that looks like one`() async throws {
        let console = try await TestConsole()
        let key = try await console.console.keys.add("kerb_wall_2", role: .viewer)
        let line = try await console.console.keys.revoke("kerb_wall_2", by: "command line")
        #expect(line.name == "kerb_wall_2")
        #expect(try await console.get("/me", key: key).status == 401)
        #expect(try await console.get("/me", key: console.viewer).status == 200)
        await console.server.stop()
    }

    @Test func `is not guessed where two have the name`() async throws {
        let console = try await TestConsole()
        let second = try await console.console.keys.add("wall", role: .viewer)
        let prefix = String(second.split(separator: "_")[1])
        await #expect {
            try await console.console.keys.revoke("wall", by: "command line")
        } throws: { "\($0)".contains(prefix) }
        #expect(try await console.get("/me", key: console.viewer).status == 200)
        try await console.console.keys.revoke(prefix, by: "command line")
        #expect(try await console.get("/me", key: console.viewer).status == 200)
        #expect(try await console.get("/me", key: second).status == 401)
        await console.server.stop()
    }
}

@Suite struct `A person who is removed` {
    @Test func `is logged out at once and comes in no more`() async throws {
        let console = try await TestConsole()
        let login = try await console.console.logins.open("anna", address: "127.0.0.1")
        let headers = ["Cookie": "kerb=\(login.token)"]
        #expect(try await console.call("GET", "/api/v1/me", headers: headers).status == 200)
        try await console.console.users.remove("anna", by: "command line")
        #expect(try await console.call("GET", "/api/v1/me", headers: headers).status == 401)
        let again = try await console.post(
            "/login", ["user": "anna", "password": "correct horse"])
        #expect(again.status == 401)
        #expect(try await console.console.users.list().isEmpty)
        let told = try await console.get("/audit")["items"]?.array?.first
        #expect(told?["action"] == "user.remove" && told?["subject"] == "anna")
        await #expect(throws: AccountError.unknownUser("anna")) {
            try await console.console.users.remove("anna", by: "command line")
        }
        await console.server.stop()
    }

    @Test func `is never the last admin`() async throws {
        let console = try await TestConsole()
        let users = console.console.users
        try await users.put("root", role: .admin, password: "correct horse")
        await #expect(throws: AccountError.lastAdmin("root")) {
            try await users.remove("root", by: "command line")
        }
        try await users.put("second", role: .admin, password: "correct horse")
        try await users.remove("root", by: "command line")
        #expect(try await users.list().map(\.name) == ["anna", "second"])
        await console.server.stop()
    }
}
