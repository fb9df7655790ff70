import Charging
import Glibc
import Service
import TestSupport
import Testing

@testable import Station

@Suite struct `A board's restore` {
    let folder = TemporaryFolder()
    let noon = Timestamp(seconds: 1_800_000_000)

    private func put(_ name: String, _ text: String) throws {
        try FileSystem.writeAtomically(Array(text.utf8), to: folder.file(name))
    }

    private func text(_ name: String) throws -> String {
        String(decoding: try FileSystem.read(folder.file(name)), as: UTF8.self)
    }

    /// One with a new and a changed file, a folder that changes, and one that shall be gone.
    private func staged() throws -> BoardRestore {
        try put("edge.yaml", "old")
        for name in ["credentials", "certificates"] {
            try FileSystem.makeFolder(folder.file(name))
            try put("\(name)/old", name)
        }
        var restore = BoardRestore(configuration: folder.file("edge.yaml"), at: noon)
        try restore.stage(
            Array("secret".utf8), at: folder.file("password"), mode: 0o600, owner: nil)
        try restore.stage(Array("new".utf8), at: folder.file("edge.yaml"), mode: 0o644, owner: nil)
        try restore.stage(
            [("link.json", 0o600, Array("{}".utf8))], folder: folder.file("credentials"),
            owner: nil)
        try restore.stage([], folder: folder.file("certificates"), owner: nil)
        return restore
    }

    private func names() throws -> [String] {
        try FileSystem.names(in: folder.path).filter { !$0.hasPrefix(".") }
    }

    @Test func `puts all of it in place and keeps what was there`() throws {
        var restore = try staged()
        #expect(try text("edge.yaml") == "old")
        let asides = try restore.commit()
        // Until it is finished no agent starts.
        #expect(FileSystem.exists(BoardRestore.mark(of: folder.file("edge.yaml"))))
        try restore.finish()
        let old = ".before-restore-\(noon.milliseconds)"
        #expect(
            asides.map { String($0.dropFirst(folder.path.count + 1)) } == [
                "edge.yaml\(old)", "credentials\(old)", "certificates\(old)",
            ])
        #expect(
            try names() == [
                "certificates\(old)", "credentials", "credentials\(old)", "edge.yaml",
                "edge.yaml\(old)", "password",
            ])
        #expect(try text("edge.yaml") == "new")
        #expect(try text("credentials/link.json") == "{}")
        #expect(try text("certificates\(old)/old") == "certificates")
        #expect(try FileSystem.mode(of: folder.file("password")) == 0o600)
        #expect(try FileSystem.mode(of: folder.file("edge.yaml")) == 0o644)
    }

    @Test func `puts everything back where it fails in the middle, or is undone`() throws {
        for isBroken in [true, false] {
            var restore = try staged()
            if isBroken {
                // The last change cannot be made: a folder with something in it is in its way.
                let aside = "certificates.before-restore-\(noon.milliseconds)"
                try FileSystem.makeFolder(folder.file(aside))
                try put("\(aside)/full", "")
                #expect(throws: FileError.self) { _ = try restore.commit() }
                unlink(folder.file("\(aside)/full"))
                rmdir(folder.file(aside))
            } else {
                _ = try restore.commit()
                try restore.undo()
            }
            #expect(try names() == ["certificates", "credentials", "edge.yaml"])
            #expect(try text("edge.yaml") == "old")
            #expect(try text("credentials/old") == "credentials")
            #expect(try text("certificates/old") == "certificates")
        }
    }

    @Test func `leaves a file alone that is right already, and its log with the old journal`()
        throws
    {
        try put("same", "x")
        try put("j.db", "old")
        try put("j.db-wal", "old log")
        try put("j.db.restoring", "new")
        var restore = BoardRestore(configuration: folder.file("edge.yaml"), at: noon)
        try restore.stage(Array("x".utf8), at: folder.file("same"), mode: 0o600, owner: nil)
        try restore.stage(
            journal: folder.file("j.db.restoring"), at: folder.file("j.db"), owner: nil)
        _ = try restore.commit()
        try restore.finish()
        let old = "j.db.before-restore-\(noon.milliseconds)"
        #expect(try names() == ["j.db", old, "\(old)-wal", "same"])
        #expect(try text("\(old)-wal") == "old log")
    }
}
