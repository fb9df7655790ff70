import Glibc
import TestSupport
import Testing

@testable import Service

@Suite struct `A folder held open` {
    let folder = TemporaryFolder()
    let elsewhere = TemporaryFolder()

    @Test func `reads and writes plain files`() throws {
        let held = try HeldFolder(folder.path)
        try held.writeAtomically([1, 2], to: "a", mode: 0o640)
        #expect(try held.read("a") == [1, 2])
        #expect(try FileSystem.mode(of: folder.file("a")) == 0o640)
        let inner = try held.makeFolder("inner")
        try inner.writeAtomically([3], to: "b")
        #expect(try held.names() == ["a", "inner"])
        #expect(try held.folder("inner").read("b") == [3])
        try held.removeFolder("inner")
        try held.remove("a")
        try held.remove("a")
        #expect(try held.names() == [])
        #expect(throws: FileError.notFound(folder.file("a"))) { try held.read("a") }
    }

    @Test func `follows no link, to read, to write or to enter`() throws {
        try FileSystem.writeAtomically([9], to: elsewhere.file("secret"))
        let held = try HeldFolder(folder.path)
        symlink(elsewhere.file("secret"), folder.file("file"))
        symlink(elsewhere.path, folder.file("folder"))
        #expect(throws: FileError.link(folder.file("file"))) { try held.read("file") }
        #expect(throws: FileError.link(folder.file("file"))) {
            close(try held.open("file", O_RDWR | O_CREAT))
        }
        #expect(throws: FileError.link(folder.file("folder"))) {
            let inner = try held.folder("folder")
            _ = try inner.names()
        }
        #expect(throws: FileError.link(folder.file("folder"))) {
            let inner = try held.makeFolder("folder")
            _ = try inner.names()
        }
        #expect(throws: FileError.link(folder.file("folder"))) { try held.removeFolder("folder") }
        let isThere = held.has("file")
        #expect(isThere)
        // A file in a link's place: the link goes, and what it named stays.
        try held.writeAtomically([1], to: "file")
        #expect(try held.read("file") == [1])
        #expect(try FileSystem.read(elsewhere.file("secret")) == [9])
    }

    @Test func `writes where it was, whatever takes its name meanwhile`() throws {
        let inner = try HeldFolder(folder.path).makeFolder("inner")
        rename(folder.file("inner"), folder.file("moved"))
        symlink(elsewhere.path, folder.file("inner"))
        try inner.writeAtomically([1], to: "a")
        #expect(FileSystem.exists(folder.file("moved/a")))
        #expect(try FileSystem.names(in: elsewhere.path) == [])
    }

    @Test func `waits at no pipe`() throws {
        mkfifo(folder.file("pipe"), 0o600)
        let held = try HeldFolder(folder.path)
        #expect(throws: FileError.notPlain(folder.file("pipe"))) { try held.read("pipe") }
    }
}
