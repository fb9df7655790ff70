import Charging
import SQL
import Service

/// A token that a station may judge by itself, as its local list has it.
package struct ListedToken: Hashable, Sendable {
    package var entry: LocalListUpdate.Entry
    /// Only where nobody can be asked: not for a station that looks at its list while it is online.
    package var isOfflineOnly: Bool

    package init(entry: LocalListUpdate.Entry, isOfflineOnly: Bool) {
        self.entry = entry
        self.isOfflineOnly = isOfflineOnly
    }
}

extension Tokens {
    private static let listedPage = 1000

    /// Tokens for stations' local lists: our own drivers' first, then partners' whose whitelist lets
    /// a station decide; valid ones alone, each tag once.
    package func listable(at moment: Timestamp, limit: Int) async throws -> [ListedToken] {
        var found: [ListedToken] = []
        var seen: Set<String> = []
        for isOwn in [true, false] {
            var last: Token?
            while found.count < limit {
                let page = try await page(own: isOwn, after: last)
                // A page that does not go on would come again for ever.
                guard let end = page.last, last.map({ Self.isAfter(end, $0) }) ?? true else {
                    break
                }
                for token in page where found.count < limit {
                    guard let listed = listed(token, at: moment),
                        seen.insert(Self.folded(listed.entry.token)).inserted
                    else { continue }
                    found.append(listed)
                }
                last = end
            }
        }
        return found
    }

    /// In the order of the key, byte by byte as the database has it.
    private static func isAfter(_ token: Token, _ last: Token) -> Bool {
        func key(_ token: Token) -> [[UInt8]] {
            [token.party.description, token.uid, token.kind.rawValue].map { Array($0.utf8) }
        }
        for (new, old) in zip(key(token), key(last)) where new != old {
            return old.lexicographicallyPrecedes(new)
        }
        return false
    }

    private func page(own isOwn: Bool, after last: Token?) async throws -> [Token] {
        let ours = party.description
        return try await database.read { transaction in
            try transaction.query(
                """
                SELECT uid, body FROM token WHERE party \(isOwn ? "=" : "<>") ?
                AND (party, uid, kind) > (?, ?, ?) ORDER BY party, uid, kind LIMIT ?
                """, ours, last?.party.description ?? "", last?.uid ?? "",
                last?.kind.rawValue ?? "", Self.listedPage
            ).map(Token.init(row:))
        }
    }

    private func listed(_ token: Token, at moment: Timestamp) -> ListedToken? {
        guard token.isValid, !token.isExpired(at: moment), token.whitelist != .never else {
            return nil
        }
        let idTag = Self.idTag(of: token.uid)
        guard !idTag.isEmpty else { return nil }
        return ListedToken(
            entry: LocalListUpdate.Entry(token: idTag, info: token.info(.accepted)),
            isOfflineOnly: token.party != party && token.whitelist == .allowedOffline)
    }
}
