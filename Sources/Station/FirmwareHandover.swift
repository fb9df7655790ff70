import Charging
import JSON
import Service

/// What the agent asks root's helper for, as a file in its spool folder.
package struct FirmwareRequest: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// Check the file once more and run the operator's command on it.
        case install
        /// Bring the program before it back.
        case rollBack
        /// It is well, or back: nothing is to be undone any more.
        case settled
    }

    /// What the agent calls a file that it has fetched: an ending is all that is told of it.
    package enum File: String, Hashable, Sendable, CaseIterable {
        case package = "firmware.deb"
        case image = "firmware.img"
    }

    package var id: String
    package var kind: Kind
    package var file: File?
    /// The signer's chain, PEM, and the signature, Base64; nil for what nobody signed.
    package var certificate: String?
    package var signature: String?

    package init(
        id: String, kind: Kind, file: File? = nil, certificate: String? = nil,
        signature: String? = nil
    ) {
        self.id = id
        self.kind = kind
        self.file = file
        self.certificate = certificate
        self.signature = signature
    }

    package var json: JSONValue {
        .members([
            "id": .string(id), "kind": .string(kind.rawValue),
            "file": file.map { .string($0.rawValue) },
            "certificate": certificate.map { .string($0) },
            "signature": signature.map { .string($0) },
        ])
    }

    /// nil for what an agent never writes.
    package init?(json: JSONValue) {
        guard let id = json["id"]?.string, (1...64).contains(id.utf8.count),
            id.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) }),
            let kind = json["kind"]?.string.flatMap(Kind.init)
        else { return nil }
        let file = json["file"]?.string
        self.init(
            id: id, kind: kind, file: file.flatMap(File.init),
            certificate: json["certificate"]?.string, signature: json["signature"]?.string)
        // A name that is none of ours is a path to somewhere.
        if (file != nil) != (self.file != nil) || (kind == .install) != (file != nil) { return nil }
    }
}

/// The two folders between the agent, which may install nothing, and root's helper, which trusts it in
/// nothing: the agent writes into its own, the helper answers in one that only root writes.
package struct FirmwareHandover: Hashable, Sendable {
    package var spool: String
    package var state: String

    package init(spool: String, state: String) {
        self.spool = spool
        self.state = state
    }

    package var requestPath: String { spool + "/request" }
    package var answerPath: String { state + "/answer" }
    /// There while a new program has not proved itself.
    package var pendingPath: String { state + "/pending" }
    /// Runs the command that brings the old program back, without any program of ours.
    package var rollbackPath: String { state + "/roll-back" }
    /// There once systemd has brought the old program back because the new one did not come up.
    package var broughtBackPath: String { state + "/rolled-back" }

    static let pollMilliseconds: Int64 = 500
    /// Beyond the command's own time: copying and hashing half a gigabyte on a slow card.
    static let patienceMilliseconds: Int64 = 120_000

    var isBroughtBack: Bool { FileSystem.exists(broughtBackPath) }
    var mustBeSettled: Bool { isBroughtBack || FileSystem.exists(pendingPath) }

    /// The same for the same step of the same order: an installer that restarts the agent before it
    /// answers finds it asking for what is done already.
    static func id(_ kind: FirmwareRequest.Kind, orderedAt: Int64) -> String {
        kind.rawValue.lowercased() + String(UInt64(bitPattern: orderedAt), radix: 16)
    }

    func hand(_ request: FirmwareRequest) throws(FileError) {
        try FileSystem.writeAtomically(request.json.encoded(), to: requestPath)
    }

    struct Answer: Hashable, Sendable {
        var isGood: Bool
        var why: String
    }

    /// nil until the helper has answered this very request.
    func answer(to id: String) -> Answer? {
        // Not there, or half of another: it is looked at again.
        guard let bytes = try? FileSystem.read(answerPath, limitBytes: 65_536),
            let tree = try? JSONValue(parsing: bytes),  // See above.
            tree["id"]?.string == id, let isGood = tree["good"]?.bool
        else { return nil }
        return Answer(isGood: isGood, why: tree["why"]?.string ?? "")
    }
}
