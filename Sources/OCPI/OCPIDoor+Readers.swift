import CPO
import Charging
import SQL
import Service

// Whom the journal's readers serve, and their end when that partner has left.

extension OCPIDoor {
    /// The partner behind a reader of ours.
    static func peer(ofReader name: String) -> String? {
        let parts = name.split(separator: "/")
        return parts.count == 3 && parts[0] == "ocpi" ? String(parts[1]) : nil
    }

    /// Lets go the readers whose partner has left, once nothing runs for it any more. A reader that
    /// nobody moves would keep every line from being forgotten.
    func retireReaders(but running: Lock<Set<String>>) async {
        let busy = running.withLock { $0 }
        let now = house.clock.now
        do {
            let left = try await house.read { [peers] transaction in
                try transaction.query("SELECT reader FROM journal_cursor").map {
                    try $0.text("reader")
                }.filter { reader in
                    guard let id = Self.peer(ofReader: reader), !busy.contains(id) else {
                        return false
                    }
                    return peers.peer(id)?.state ?? .gone == .gone
                }
            }
            guard !left.isEmpty, !Task.isCancelled else { return }
            try await house.write { [house] transaction in
                for reader in left {
                    try Self.retire(reader, house, at: now, in: transaction)
                }
            }
        } catch {
            // The next partner that changes, or the next start, lets them go.
            house.log.warning("ocpi readers not let go", ["error": LogError(error)])
        }
    }

    private static func retire(
        _ reader: String, _ house: ChargePointOperator, at now: Timestamp,
        in transaction: Transaction
    ) throws {
        guard let id = peer(ofReader: reader) else { return }
        let peer = try Peers.peer(id, in: transaction)
        guard peer?.state ?? .gone == .gone else { return }
        // One without a place for bills fetches them.
        let takesBills =
            reader == billReader(id) && peer?.url(of: "cdrs", role: "RECEIVER") != nil
        try house.journal.retire(
            reader, billsOf: takesBills ? peer?.parties ?? [] : [],
            until: peer?.updatedAt ?? now, reason: "the connection ended", at: now,
            in: transaction)
    }
}
