import Charging
import Crypto
import Glibc
import JSON
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(1))) struct `Root's helper` {
    let folder = TemporaryFolder()

    private var folders: FirmwareHandover {
        FirmwareHandover(spool: folder.file("spool"), state: folder.file("state"))
    }

    private func helper(
        acceptsUnsigned: Bool = true, rootFile: String? = nil, most: Int64 = 1000,
        installs: [String]? = nil
    ) throws -> FirmwareHelper {
        for path in [folders.spool, folders.state] { try FileSystem.makeFolder(path) }
        return FirmwareHelper(
            folders,
            .init(
                installCommand: installs ?? ["/bin/cp", "{file}", folder.file("installed")],
                rollbackCommand: ["/bin/touch", folder.file("it's back")], commandSeconds: 20,
                rootFile: rootFile, acceptsUnsigned: acceptsUnsigned, mostBytes: most),
            log: .silent)
    }

    private func ask(
        _ kind: FirmwareRequest.Kind, id: String = "1a", certificate: String? = nil,
        signature: String? = nil
    ) throws {
        try folders.hand(
            FirmwareRequest(
                id: id, kind: kind, file: kind == .install ? .package : nil,
                certificate: certificate, signature: signature))
    }

    private func put(_ bytes: [UInt8]) throws {
        try FileSystem.writeAtomically(bytes, to: "\(folders.spool)/firmware.deb")
    }

    private var isInstalled: Bool { FileSystem.exists(folder.file("installed")) }

    @Test func `installs a copy and knows the way back before it begins`() async throws {
        let helper = try helper()
        try put([1, 2, 3])
        try ask(.install)
        #expect(try await helper.serve())
        #expect(try FileSystem.read(folder.file("installed")) == [1, 2, 3])
        #expect(folders.answer(to: "1a") == .init(isGood: true, why: ""))
        #expect(folders.answer(to: "2b") == nil)
        #expect(folders.mustBeSettled)
        // Taken away: it is not asked for ever.
        #expect(!FileSystem.exists(folders.requestPath))
        #expect(try await !helper.serve())

        try ask(.rollBack, id: "2b")
        #expect(try await helper.serve())
        #expect(FileSystem.exists(folder.file("it's back")))
        #expect(!folders.mustBeSettled)
        try ask(.rollBack, id: "3c")
        #expect(try await !helper.serve())
    }

    @Test func `does not do again what it has done, for an agent that was restarted meanwhile`()
        async throws
    {
        let helper = try helper(installs: [
            "/bin/sh", "-c", "echo once >>\(folder.file("count"))", "{file}",
        ])
        for _ in 0..<2 {
            try put([1])
            try ask(.install)
            #expect(try await helper.serve())
            #expect(folders.answer(to: "1a")?.isGood == true)
        }
        #expect(try FileSystem.read(folder.file("count")) == Array("once\n".utf8))
    }

    @Test func `forgets the way back once the new program is well`() async throws {
        let helper = try helper()
        try put([1])
        try ask(.install)
        #expect(try await helper.serve())
        try ask(.settled, id: "2b")
        #expect(try await helper.serve())
        #expect(try FileSystem.names(in: folders.state) == ["answer", "install.log"])
    }

    @Test func `says why an installer failed and leaves the way back`() async throws {
        let helper = try helper(installs: [
            "/bin/sh", "-c", "echo begun; echo older than the installed 2.0 >&2; exit 1", "{file}",
        ])
        try put([1])
        try ask(.install)
        #expect(try await !helper.serve())
        let why = folders.answer(to: "1a")?.why ?? ""
        #expect(why.contains(text: "; older than the installed 2.0; see "))
        #expect(why.contains("install.log"))
        #expect(folders.mustBeSettled)
    }

    @Test func `installs nothing that is not signed by a root of root's`() async throws {
        let authority = try CertificateAuthority(commonName: "Maker")
        let signer = try authority.issueClient(commonName: "Signer").certificatePEM
        let roots = folder.file("roots.pem")
        try FileSystem.writeAtomically(Array(try authority.certificatePEM().utf8), to: roots)
        for rootFile in [roots, nil] {
            let helper = try helper(acceptsUnsigned: false, rootFile: rootFile)
            for (certificate, signature) in [
                (nil, nil), (signer, nil), (signer, "AAAA"), ("nonsense", "AAAA"),
            ] as [(String?, String?)] {
                try put([1])
                try ask(.install, certificate: certificate, signature: signature)
                #expect(try await !helper.serve())
                #expect(folders.answer(to: "1a")?.why.contains("not signed") == true)
                #expect(!isInstalled && !folders.mustBeSettled)
            }
        }
    }

    @Test func `does nothing while its own files are in doubt, and says so`() async throws {
        let helper = try helper()
        try put([1])
        try ask(.install)
        #expect(try await !helper.serve(unless: "edge.yaml: others may write it"))
        #expect(folders.answer(to: "1a")?.why == "edge.yaml: others may write it")
        #expect(!isInstalled)
    }

    /// A place that nobody else may write on the whole way; /tmp is none.
    private var home: String { getenv("HOME").map { String(cString: $0) } ?? "/root" }

    @Test func `doubts a file that others may write`() throws {
        let folder = TemporaryFolder(below: home)
        let file = folder.file("edge.yaml")
        try FileSystem.writeAtomically([], to: file, mode: 0o644)
        #expect(FirmwareHelper.doubt(of: file) == nil)
        chmod(file, 0o664)
        #expect(FirmwareHelper.doubt(of: file)?.contains("others than root") == true)
        #expect(FirmwareHelper.doubt(of: folder.file("none")) != nil)
    }

    @Test
    func `doubts what a later word of a command names, and its folder where it names nothing`()
        throws
    {
        let folder = TemporaryFolder(below: home)
        let script = folder.file("script")
        #expect(FirmwareHelper.doubt(ofArgument: script) == nil, "not there yet, in a safe folder")
        try FileSystem.writeAtomically([], to: script, mode: 0o644)
        #expect(FirmwareHelper.doubt(ofArgument: script) == nil)
        chmod(script, 0o666)
        #expect(FirmwareHelper.doubt(ofArgument: script)?.hasPrefix("\(script): others") == true)
        let open = folder.file("open")
        try FileSystem.makeFolder(open)
        chmod(open, 0o777)
        for path in [open, "\(open)/absent"] {
            #expect(FirmwareHelper.doubt(ofArgument: path)?.hasPrefix("\(open): others") == true)
        }
        #expect(FirmwareHelper.doubt(ofArgument: "/dev/null") == nil)
    }

    @Test func `doubts a file whose folder, or a link's folder on the way, others may write`()
        throws
    {
        let folder = TemporaryFolder(below: home)
        let inner = folder.file("inner")
        let file = "\(inner)/edge.yaml"
        try FileSystem.makeFolder(inner)
        try FileSystem.writeAtomically([], to: file, mode: 0o644)
        #expect(FirmwareHelper.doubt(of: file) == nil)
        for mode in [0o770, 0o707, 0o1777] as [mode_t] {
            chmod(inner, mode)
            #expect(FirmwareHelper.doubt(of: file)?.hasPrefix("\(inner): others") == true)
        }
        chmod(inner, 0o700)
        // Root's own link is as good as what it names; the same link in such a folder may be another's.
        symlink(file, folder.file("link"))
        #expect(FirmwareHelper.doubt(of: folder.file("link")) == nil)
        let open = TemporaryFolder(below: home)
        chmod(open.path, 0o1777)
        symlink(file, open.file("link"))
        #expect(
            FirmwareHelper.doubt(of: open.file("link"))?.hasPrefix("\(open.path): others") == true)
        symlink(open.file("link"), folder.file("round"))
        #expect(
            FirmwareHelper.doubt(of: folder.file("round"))?.hasPrefix("\(open.path): others")
                == true)
        symlink(folder.file("ring"), folder.file("ring"))
        #expect(FirmwareHelper.doubt(of: folder.file("ring"))?.contains("too many links") == true)
    }

    @Test(arguments: ["link", "pipe", "folder", "large"])
    func `takes no firmware that is no plain file of its size`(what: String) async throws {
        let helper = try helper(most: 10)
        let path = "\(folders.spool)/firmware.deb"
        switch what {
        case "link":
            try FileSystem.writeAtomically([1], to: folder.file("secret"))
            symlink(folder.file("secret"), path)
        case "pipe": mkfifo(path, 0o600)
        case "folder": mkdir(path, 0o700)
        default: try put([UInt8](repeating: 1, count: 11))
        }
        try ask(.install)
        #expect(try await !helper.serve())
        #expect(folders.answer(to: "1a")?.isGood == false)
        #expect(!isInstalled && !folders.mustBeSettled)
    }

    @Test(arguments: [
        "", "{", #"{"id":"1a"}"#, #"{"id":"../x","kind":"settled"}"#,
        #"{"id":"1a","kind":"install"}"#,
        #"{"id":"1a","kind":"install","file":"../../etc/shadow"}"#,
        #"{"id":"1a","kind":"settled","file":"firmware.deb"}"#, #"{"id":"1a","kind":"remove"}"#,
    ])
    func `forgets what no agent asks for`(text: String) async throws {
        let helper = try helper()
        try FileSystem.writeAtomically(Array(text.utf8), to: folders.requestPath)
        #expect(try await !helper.serve())
        #expect(try FileSystem.names(in: folders.spool).isEmpty)
        #expect(try FileSystem.names(in: folders.state).isEmpty)
    }

    @Test func `reads no request through a link, of file or folder`() async throws {
        let helper = try helper()
        let text = FirmwareRequest(id: "1a", kind: .settled).json.encoded()
        try FileSystem.writeAtomically(text, to: folder.file("elsewhere"))
        symlink(folder.file("elsewhere"), folders.requestPath)
        await #expect(throws: FileError.self) { try await helper.serve() }
        #expect(FileSystem.exists(folder.file("elsewhere")))
        #expect(try FileSystem.names(in: folders.spool).isEmpty)
        rmdir(folders.spool)
        try FileSystem.makeFolder(folder.file("other"))
        try FileSystem.writeAtomically(text, to: folder.file("other/request"))
        symlink(folder.file("other"), folders.spool)
        await #expect(throws: FileError.self) { try await helper.serve() }
        #expect(FileSystem.exists(folder.file("other/request")))
    }

    @Test func `speaks of requests as they were written`() throws {
        for kind in FirmwareRequest.Kind.allCases {
            let request = FirmwareRequest(
                id: FirmwareHandover.id(kind, orderedAt: -1), kind: kind,
                file: kind == .install ? .image : nil,
                certificate: "PEM", signature: "AA==")
            let tree = try JSONValue(parsing: request.json.text)
            #expect(FirmwareRequest(json: tree) == request)
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct `An update by root's helper` {
    let order = StationCommand.maintenance(
        .updateFirmware(
            FirmwareOrder(
                transfer: TransferOrder(location: "x", retries: 0, retrySeconds: 1),
                retrieveAt: Timestamp(seconds: 0))))

    private func rig(_ folder: TemporaryFolder) async throws -> (UpkeepRig, FirmwareHandover) {
        let handover = FirmwareHandover(
            spool: folder.file("firmware"), state: folder.file("state"))
        try FileSystem.makeFolder(handover.state)
        let rig = try await UpkeepRig.make(folder) { $0.handover = handover }
        rig.carriage.files.withLock { $0["x"] = [7] }
        return (rig, handover)
    }

    /// The helper as its path unit would call it.
    private func serve(_ handover: FirmwareHandover, _ folder: TemporaryFolder) async throws {
        let helper = FirmwareHelper(
            handover,
            .init(
                installCommand: ["/bin/cp", "{file}", folder.file("installed")],
                rollbackCommand: ["/bin/true"], commandSeconds: 20, rootFile: nil,
                acceptsUnsigned: true, mostBytes: 1000), log: .silent)
        await until { FileSystem.exists(handover.requestPath) }
        _ = try await helper.serve()
    }

    @Test func `is handed over, installed, and settled by the new program`() async throws {
        let folder = TemporaryFolder()
        let (rig, handover) = try await rig(folder)
        let peer = TestOperator()
        rig.station.links.yield(peer)
        let order = order
        try await rig.station.during { () async throws in
            await peer.hears(status: .available)
            _ = try await peer.ask(order)
            try await serve(handover, folder)
            await until { rig.restarts.withLock { $0 } == 1 }
        }
        #expect(try FileSystem.read(folder.file("installed")) == [7])
        #expect(handover.mustBeSettled)
        let (next, _) = try await self.rig(folder)
        let again = TestOperator()
        next.station.links.yield(again)
        try await next.station.during {
            await again.hears { $0.firmware == [.installed] }
            try await serve(handover, folder)
        }
        #expect(!handover.mustBeSettled)
    }

    @Test func `has failed where systemd brought the old program back`() async throws {
        let folder = TemporaryFolder()
        let (rig, handover) = try await rig(folder)
        let peer = TestOperator()
        rig.station.links.yield(peer)
        let order = order
        try await rig.station.during { () async throws in
            await peer.hears(status: .available)
            _ = try await peer.ask(order)
            try await serve(handover, folder)
            await until { rig.restarts.withLock { $0 } == 1 }
        }
        // As `recover` does it.
        rename(handover.pendingPath, handover.broughtBackPath)
        let (old, _) = try await self.rig(folder)
        let again = TestOperator()
        old.station.links.yield(again)
        try await old.station.during {
            await again.hears { $0.firmware == [.installationFailed] }
            try await serve(handover, folder)
        }
        #expect(!handover.mustBeSettled)
    }
}
