import Charging
import SQL
import StoreSupport
import TestSupport
import Testing

@testable import CPO

@Suite struct `Rows of an earlier version` {
    @Test func `that say one token twice become its owner's last word`() async throws {
        let database = try await TestStore.open(readers: 1)
        let before = ChargePointOperator.migrations.filter { $0.number < 33 }
        try await database.migrate(before)
        func token(_ uid: String, _ seconds: Int64, isValid: Bool, kind: Token.Kind = .rfid)
            -> Token
        {
            Token(
                party: House.party, uid: uid, kind: kind, contractID: "C", issuer: "I",
                isValid: isValid, lastUpdated: House.noon.advanced(bySeconds: seconds))
        }
        let tokens = [
            token("AbC", 0, isValid: true), token("abc", 5, isValid: false),
            token("ABC", 5, isValid: true, kind: .appUser), token("other", 0, isValid: true),
            token("SAME", 1, isValid: true), token("same", 1, isValid: true),
        ]
        try await database.write { transaction in
            for token in tokens {
                try transaction.execute(
                    """
                    INSERT INTO token (party, uid, kind, id_tag, body, last_updated)
                    VALUES (?, ?, ?, ?, ?, ?)
                    """, token.party.description, token.uid, token.kind.rawValue,
                    Tokens.folded(Tokens.idTag(of: token.uid)), token.storedText,
                    token.lastUpdated)
            }
        }
        try await database.migrate(ChargePointOperator.migrations)
        let left = try await database.read { transaction in
            try transaction.query("SELECT uid, kind FROM token ORDER BY uid").map {
                "\(try $0.text("uid")) \(try $0.text("kind"))"
            }
        }
        #expect(Set(left) == ["ABC APP_USER", "SAME RFID", "abc RFID", "other RFID"])
        await database.close()
    }
}
