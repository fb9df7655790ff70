import JSON
import Service

extension Doctor {
    /// What a running agent says of its journal and its clock.
    static func journal(of status: JSONValue) -> [Finding] {
        let journal = status["journal"]
        var findings: [Finding] = []
        if let trouble = journal?["trouble"]?.string {
            findings.append(
                .bad(
                    "journal", "no new charge: \(trouble)",
                    mend: "free some disk, raise `journalLimitMegabytes`, or look at the disk"))
        } else {
            findings.append(
                .fine(
                    "journal",
                    "\(journal?["usedKiB"]?.int ?? 0) of \(journal?["limitKiB"]?.int ?? 0) KiB, "
                        + "\(journal?["depth"]?.int ?? 0) to send"))
        }
        if let parked = journal?["parkedCharges"]?.int, parked > 0 {
            findings.append(
                .warning(
                    "journal", "\(parked) charges cannot be delivered",
                    mend:
                        "the log says why; where the operator refuses them ask him; they are tried "
                        + "again for ever"))
        }
        for notice in (journal?["notices"]?.array ?? []).compactMap(\.string) {
            findings.append(
                .bad("journal", notice, mend: "look at it, then `kerb-edge clear journal`"))
        }
        if status["clock"]?["trust"]?.string == "untrusted" {
            findings.append(
                .warning(
                    "clock trust", "nobody has told the agent what time it is",
                    mend: "what is owed waits for the operator's time or a time server's"))
        }
        return findings
    }

    /// A journal that was set aside, `journal.db.damaged-N`; its log and its marker lie beside it.
    static func isEvidence(_ name: String) -> Bool {
        let parts = name.parts(between: ".damaged-", most: 1)
        guard parts.count == 2, !parts[1].isEmpty else { return false }
        return parts[1].utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
}
