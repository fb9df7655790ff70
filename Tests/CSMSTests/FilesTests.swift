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

@Suite(.timeLimit(.minutes(2))) struct `A file` {
    struct Desk {
        let rig: Rig
        let folder: TemporaryFolder
        let files: FileStore

        init(_ change: @escaping (inout FileSettings) -> Void = { _ in }) async throws {
            let folder = TemporaryFolder()
            var settings = FileSettings(folder: folder.file("files"), url: "https://cpo.example")
            settings.freeBytes = 0
            change(&settings)
            let made = settings
            rig = try await Rig {
                $0.lowestSecurityProfile = 0
                $0.files = made
            }
            self.folder = folder
            files = try #require(rig.center.files)
        }

        func end() async { await rig.end() }

        /// A request; the answer as text, the body's bytes as Latin letters.
        func call(
            _ method: String, _ path: String, _ body: String = "", _ headers: [String] = []
        ) async throws -> String {
            let socket = try RawSocket(port: rig.port)
            let head =
                ["\(method) \(path) HTTP/1.1", "Host: x", "Connection: close"] + headers
                + ["Content-Length: \(body.utf8.count)", "", ""]
            await socket.send(head.joined(separator: "\r\n") + body)
            return await socket.readAll()
        }

        func invite(
            _ name: String = "image.bin", _ change: (inout StationFile.Label) -> Void = { _ in }
        ) async throws -> FileStore.Invitation {
            var label = StationFile.Label(name: name)
            change(&label)
            return try await files.invite(label, by: "anna") { _, _ in }
        }

        /// An image that is here, and the path of a station's own address to it.
        func image(_ text: String, _ name: String = "image.bin") async throws -> String {
            let made = try await invite(name)
            try await #expect(call("PUT", made.path, text).hasPrefix("HTTP/1.1 201"))
            let now = rig.clock.now
            let order = try await rig.house.write { [files] transaction in
                try files.order(
                    made.file.id, for: "CS-1", signed: false, at: now, in: transaction)
            }
            return String(try #require(order).transfer.location.dropFirst(19))
        }

        func uses() async throws -> Int? {
            try await rig.house.read {
                try $0.queryOne("SELECT SUM(uses) AS n FROM csms_link WHERE direction = 'get'")?
                    .int("n")
            }
        }

        func names() throws -> [String] { try FileSystem.names(in: folder.file("files")) }
    }

    @Test func `is taken once, and given with its length and hash`() async throws {
        let desk = try await Desk()
        let made = try await desk.invite("../../etc/passwd") { $0.version = "2.0" }
        let answer = try await desk.call("PUT", made.path + "/image.bin", "firmware!")
        #expect(answer.contains("201 Created"))
        let hash = Hex.encode(SHA256.hash("firmware!"))
        #expect(answer.contains(hash))
        #expect(try desk.names() == [made.file.id])
        try await #expect(desk.call("PUT", made.path, "other").contains("410 Gone"))
        let whole = try #require(try await desk.files.file(made.file.id))
        #expect(whole.size == 9 && whole.sha256 == hash)
        let path = try await desk.image("firmware!", "../../etc/passwd")
        #expect(path.hasSuffix("/_.._etc_passwd"))
        let given = try await desk.call("GET", path)
        #expect(given.contains("Content-Length: 9\r\n") && given.hasSuffix("firmware!"))
        #expect(given.contains("ETag: \"\(hash)\""))
        await desk.end()
    }

    /// An upload of six bytes of which the first three are sent, and here.
    private func begun(_ desk: Desk, _ path: String) async throws -> RawSocket {
        let socket = try RawSocket(port: desk.rig.port)
        await socket.send(
            "PUT \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabc")
        while try desk.names().isEmpty, !Task.isCancelled { await Task.yield() }
        return socket
    }

    private func refusals(_ desk: Desk) async throws -> [JSONValue?] {
        try await desk.rig.house.journal.lines(after: 0).filter { $0.kind == .fileRefused }
            .map { try JSONValue(parsing: $0.body)["reason"] }
    }

    @Test func `is brought to one address by one at a time`() async throws {
        let desk = try await Desk()
        let made = try await desk.invite()
        let first = try await begun(desk, made.path)
        try await #expect(desk.call("PUT", made.path, "other!").hasPrefix("HTTP/1.1 409"))
        await first.send("def")
        await #expect(first.readAll().hasPrefix("HTTP/1.1 201"))
        let whole = try #require(try await desk.files.file(made.file.id))
        #expect(whole.sha256 == Hex.encode(SHA256.hash("abcdef")))
        await desk.end()
    }

    @Test func `that is deleted while it comes leaves nothing behind`() async throws {
        let desk = try await Desk()
        let made = try await desk.invite()
        let first = try await begun(desk, made.path)
        #expect(try await desk.files.remove(made.file.id) { _ in })
        await first.send("def")
        await #expect(first.readAll().hasPrefix("HTTP/1.1 404"))
        #expect(try desk.names() == [])
        #expect(try await refusals(desk) == ["the file was deleted meanwhile"])
        await desk.end()
    }

    @Test func `resumes where a download broke off`() async throws {
        let desk = try await Desk()
        let path = try await desk.image("0123456789")
        let tag = "\"\(Hex.encode(SHA256.hash("0123456789")))\""
        let rest = try await desk.call("GET", path, "", ["Range: bytes=7-", "If-Range: \(tag)"])
        #expect(rest.contains("206 Partial Content") && rest.hasSuffix("\r\n\r\n789"))
        #expect(rest.contains("Content-Range: bytes 7-9/10"))
        let last = try await desk.call("GET", path, "", ["Range: bytes=-2"])
        #expect(last.hasSuffix("\r\n\r\n89"))
        let none = try await desk.call("GET", path, "", ["Range: bytes=10-"])
        #expect(none.contains("416 Range") && none.contains("Content-Range: bytes */10"))
        let other = try await desk.call(
            "GET", path, "", ["Range: bytes=7-", "If-Range: \"another\""])
        #expect(other.contains("200 OK") && other.hasSuffix("\r\n\r\n0123456789"))
        await desk.end()
    }

    @Test(arguments: [
        ("bytes=0-0", ByteRange.part(0, 0)), ("bytes=5-100", .part(5, 9)),
        ("bytes=-100", .part(0, 9)), ("bytes=-0", .unsatisfiable), ("bytes=10-", .unsatisfiable),
        ("bytes=3-2", .whole(10)), ("bytes=0-1,4-5", .whole(10)), ("bytes=-", .whole(10)),
        ("lines=0-1", .whole(10)), ("bytes=+1-2", .whole(10)), ("bytes", .whole(10)),
        ("bytes=99999999999999999999-", .whole(10)),
    ])
    func `is parted as RFC 9110 says`(_ header: String, _ wanted: ByteRange) {
        #expect(ByteRange(header: header, size: 10) == wanted)
    }

    @Test func `has an address that ends by time, by use and with the station`() async throws {
        let desk = try await Desk { $0.usesOfALink = 2 }
        try await #expect(desk.call("GET", "/files/nonsense").contains("404 Not Found"))
        let used = try await desk.image("a")
        for status in ["200", "200", "410"] {
            try await #expect(desk.call("GET", used).hasPrefix("HTTP/1.1 \(status)"))
        }
        let late = try await desk.image("b")
        // Only looked at: it costs no use.
        for _ in 0..<3 { try await #expect(desk.call("HEAD", late).contains("200 OK")) }
        desk.rig.clock.advance(milliseconds: 48 * 3_600_000)
        try await #expect(desk.call("GET", late).contains("410 Gone"))
        let gone = try await desk.image("c")
        let peer = try await desk.rig.connect("CS-1")
        _ = try await peer.boot()
        let now = desk.rig.clock.now
        _ = try await desk.rig.house.write { [house = desk.rig.house] transaction in
            try house.stations.remove("CS-1", at: now, in: transaction)
        }
        try await #expect(desk.call("GET", gone).contains("404 Not Found"))
        await desk.end()
    }

    @Test func `cannot be brought to an address that gives, nor the other way round`() async throws
    {
        let desk = try await Desk()
        let path = try await desk.image("a")
        try await #expect(desk.call("PUT", path, "b").contains("404 Not Found"))
        let made = try await desk.invite()
        try await #expect(desk.call("GET", made.path).contains("404 Not Found"))
        await desk.end()
    }

    @Test func `is refused that is too large, empty, or not the announced one`() async throws {
        let desk = try await Desk {
            $0.mostFirmwareBytes = 10
            $0.mostLogBytes = 10
        }
        let made = try await desk.invite { $0.sha256 = Hex.encode(SHA256.hash("right")) }
        try await #expect(desk.call("PUT", made.path, "wrong").contains("422"))
        try await #expect(desk.call("PUT", made.path, "01234567890").contains("413"))
        // Answered while it is still looked at.
        let token = String(made.path.dropFirst("/files/".count))
        while try await refusals(desk).count < 2 || desk.files.isUnderWay(token), !Task.isCancelled
        { await Task.yield() }
        try await #expect(desk.call("PUT", made.path, "").contains("422"))
        #expect(try desk.names() == [])
        #expect(
            try await refusals(desk) == ["not the announced file", "too large", "empty"],
            "the operator sees why")
        try await #expect(desk.call("PUT", made.path, "right").contains("201"))
        await desk.end()
    }

    @Test func `is not stored where the database would have no room`() async throws {
        let desk = try await Desk { $0.freeBytes = .max / 2 }
        let made = try await desk.invite()
        try await #expect(desk.call("PUT", made.path, "a").contains("507"))
        #expect(try desk.names() == [])
        await desk.end()
    }

    @Test func `is given to two at once over one address, and a third comes again`() async throws {
        let desk = try await Desk()
        let path = String(
            try await desk.image("abc").dropFirst("/files/".count).prefix { $0 != "/" })
        let first = try #require(desk.files.beginTransfer(over: path))
        let second = try #require(desk.files.beginTransfer(over: path))
        #expect(desk.files.beginTransfer(over: path) == nil)
        #expect(desk.files.beginTransfer(over: "another") != nil)
        let uses = try await desk.uses()
        try await #expect(desk.call("GET", "/files/\(path)").contains("503"))
        #expect(try await desk.uses() == uses, "a refusal uses nothing up")
        withExtendedLifetime((first, second)) {}
        await desk.end()
    }

    @Test func `frees its place with the transfer`() async throws {
        let desk = try await Desk { $0.transfers = 1 }
        do {
            let only = desk.files.beginTransfer(over: "a")
            #expect(only != nil && desk.files.beginTransfer(over: "b") == nil)
        }
        #expect(desk.files.beginTransfer(over: "b") != nil)
        await desk.end()
    }

    @Test func `is looked for under addresses that can be ours alone`() {
        let good = Base64.encode(RandomBytes.make(FileLink.tokenBytes), alphabet: .url)
        #expect(FileLink.isToken(good))
        for bad in [
            "", "x", good + "A", String(good.dropLast()) + "=", String(good.dropLast()) + "/",
        ] {
            #expect(!FileLink.isToken(bad), "\(bad)")
        }
    }

    @Test func `leaves nothing half written after a crash`() async throws {
        let desk = try await Desk()
        let made = try await desk.invite()
        try await #expect(desk.call("PUT", made.path, "a").contains("201"))
        let folder = desk.folder.file("files")
        // A database in the same folder, a volume's own folder, another's download: not ours to delete.
        let others = ["kerb.sqlite", "movie.part", "x"]
        for name in ["\(UUID4.make()).part", UUID4.make()] + others {
            try FileSystem.writeAtomically(Array("torn".utf8), to: "\(folder)/\(name)")
        }
        try FileSystem.makeFolder("\(folder)/lost+found")
        try await desk.files.load()
        let left = others + ["lost+found", FileStore.asideName, made.file.id]
        #expect(try desk.names().sorted() == left.sorted())
        await desk.end()
    }

    @Test func `that the database does not know is set aside, and comes back with its row`()
        async throws
    {
        let desk = try await Desk()
        let made = try await desk.invite()
        try await #expect(desk.call("PUT", made.path, "image").contains("201"))
        let aside = desk.folder.file("files") + "/\(FileStore.asideName)"
        func forget() async throws {
            try await desk.rig.house.write { _ = try $0.execute("DELETE FROM csms_file") }
        }
        // A start on an older database, or an empty one.
        try await forget()
        try await desk.files.load()
        #expect(try desk.names() == [FileStore.asideName])
        #expect(try FileSystem.names(in: aside) == [made.file.id])
        try await desk.rig.house.write { try made.file.insert(in: $0) }
        try await desk.files.load()
        #expect(try desk.names().sorted() == [made.file.id, FileStore.asideName].sorted())
        #expect(try FileSystem.names(in: aside) == [])
        try await forget()
        try await desk.files.load()
        desk.rig.clock.advance(milliseconds: 30 * 86_400_000)
        try await desk.files.tidy()
        #expect(try FileSystem.names(in: aside) == [made.file.id])
        desk.rig.clock.advance(milliseconds: 1000)
        try await desk.files.tidy()
        #expect(try FileSystem.names(in: aside) == [])
        await desk.end()
    }

    @Test func `is one of very many`() async throws {
        let desk = try await Desk { $0.logBytesKept = 100_000 }
        let now = desk.rig.clock.now
        // More than one query gives; the two oldest are too much.
        _ = try await desk.rig.house.write { transaction in
            try transaction.execute(
                """
                INSERT INTO csms_file (id, kind, name, size, sha256, created_at, stored_at, made_by)
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100002)
                SELECT 'F-' || i, 'log', 'x', 1, 'x', CAST(? AS BIGINT) + i, CAST(? AS BIGINT), 'anna'
                FROM n
                """, now, now)
        }
        try await desk.files.load()
        try await desk.files.tidy()
        let left = try await desk.rig.house.read { transaction in
            try transaction.queryOne(
                "SELECT COUNT(*) AS n, MIN(created_at) AS oldest FROM csms_file")
        }
        #expect(try left?.int("n") == 100_000)
        #expect(try left?.timestamp("oldest").milliseconds == now.milliseconds + 3)
        await desk.end()
    }
}
