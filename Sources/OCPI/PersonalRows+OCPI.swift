import CPO
import Charging
import SQL

/// The partners' door keeps nobody's name of its own; it knows which bills are still on their way.
package struct PartnerPersonalRows: PersonalRows {
    package init() {}

    package let tables: [any PersonalTable] = []

    /// A bill that its eMSP has not taken yet: it could be billed to nobody without its token.
    package func hold(
        on session: PersonalSession, in transaction: Transaction
    ) throws -> Hold? {
        let open = try transaction.query(
            """
            SELECT created_at FROM cdr WHERE session = ? AND NOT EXISTS
            (SELECT 1 FROM ocpi_cdr_receipt r WHERE r.cdr = cdr.id)
            """, session.id
        ).map { try $0.timestamp("created_at") }
        guard let newest = open.max() else { return nil }
        let isAwaited = try transaction.query(
            "SELECT * FROM ocpi_peer WHERE state = ? AND created_at <= ?",
            Peer.State.registered.rawValue, newest
        ).contains { row in
            let peer = try Peer(row: row)
            return peer.parties.contains { $0.description == session.party }
                && peer.url(of: "cdrs", role: "RECEIVER") != nil
        }
        return isAwaited ? .undelivered : nil
    }

    /// What partners ordered: the command's own row says for whom.
    package var agings: [Aging] {
        [
            Aging("partnerCommands", days: \.driversDays) { before, _, transaction in
                let count = try transaction.execute(
                    """
                    DELETE FROM ocpi_command WHERE id IN (SELECT id FROM ocpi_command
                    WHERE created_at < ? AND result IS NOT NULL ORDER BY created_at LIMIT ?)
                    """, before, Self.rowsAPage)
                return .init(count, next: count == Self.rowsAPage ? .null : nil)
            }
        ]
    }

    private static let rowsAPage = 500
}
