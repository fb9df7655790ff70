import Charging
import Crypto
import SQL
import Service

/// The secret by which erased people are known again without being named: after a restore, and when a
/// station repeats a start that was anonymous already.
package struct ErasureKey: Hashable, Sendable {
    /// 32 bytes.
    let bytes: [UInt8]

    /// The database's own; made where there is none yet.
    static func stored(in transaction: Transaction) throws -> ErasureKey {
        try transaction.execute(
            "INSERT INTO erasure_key (id, secret) VALUES (1, ?) ON CONFLICT (id) DO NOTHING",
            Hex.encode(RandomBytes.make(32)))
        let row = try transaction.queryOne("SELECT secret FROM erasure_key WHERE id = 1")
        guard let text = try row?.text("secret"), let bytes = Hex.decode(text) else {
            throw StoredError(key: "secret")
        }
        return ErasureKey(bytes: bytes)
    }

    /// What the ledger knows somebody by: nobody else has the same.
    func hash(_ kind: MarkSource.Kind, _ text: String, of party: String) -> String {
        Hex.encode(
            HMACSHA256.authenticate(
                Array("\(kind.rawValue)\u{1F}\(party)\u{1F}\(text)".utf8), key: bytes))
    }

    /// Stands for a tag in the start of one session, so that the station's repeating it is no new charge.
    ///
    /// Two bytes on purpose: thousands of tags have the same, so nobody can find the one it was; and the
    /// same tag has another in every start, so that no two of a person can be told from two of others.
    func mark(_ text: String) -> String {
        "~" + Hex.encode(HMACSHA256.authenticate(Array(text.utf8), key: bytes).prefix(2))
    }

    /// A start's, by what makes it one. See `Sessions.Natural`.
    func mark(
        tag: String, station: String, connector: Int, at natural: Int64, register: Int64
    ) -> String {
        mark("start\u{1F}\(station)\u{1F}\(connector)\u{1F}\(natural)\u{1F}\(register)\u{1F}\(tag)")
    }

    /// A parked message's.
    func mark(finger: String) -> String { mark("parked\u{1F}\(finger)") }
}

/// The key, read once: every start needs it.
final class ErasureKeyStore: Sendable {
    private let known = Lock<ErasureKey?>(nil)

    /// Memory is asked first; a transaction that is undone leaves a key that no row has, so only one
    /// that was read from a row of an earlier transaction is kept. See `load`.
    func value(in transaction: Transaction) throws -> ErasureKey {
        if let key = known.withLock({ $0 }) { return key }
        return try ErasureKey.stored(in: transaction)
    }

    /// After the commit of the transaction that made it.
    func keep(_ key: ErasureKey) { known.withLock { $0 = key } }
}
