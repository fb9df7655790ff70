import Charging
import Crypto
import SQL

/// Takes the person out of what a charge left behind, and leaves what its bill rests on.
enum AnonymousSession {
    /// A station's late stop is believed to correct a bill that was made by rule for this long.
    static let lateStopSeconds: Int64 = 366 * 86_400
    /// Readings of one charge that are looked at in one query.
    private static let readingsAPage = 5000

    /// Why a session cannot be touched yet; doors may know more reasons.
    static func hold(_ row: Row, at now: Timestamp, in transaction: Transaction) throws -> Hold? {
        switch Sessions.Closure(rawValue: try row.text("closure")) {
        case .open: return .running
        case .provisional: return .withoutStop
        case .ruled:
            let end = try row.timestampOrNil("ended_at") ?? now
            if now.seconds(since: end) < lateStopSeconds { return .lateStop }
        case .closed, nil: break
        }
        let waits = try transaction.queryOne(
            "SELECT 1 AS one FROM suspicion WHERE session = ? AND state = 'open' LIMIT 1",
            row.text("id"))
        return waits == nil ? nil : .review
    }

    /// Amounts, energies, times and ids stay; token, contract and the eMSP's reference go, in the session,
    /// in its bills and in what its meter signed.
    static func make(
        _ row: Row, _ key: ErasureKey, at now: Timestamp, in transaction: Transaction
    ) throws {
        let number = try row.int64("key")
        var sealed = try Sessions.Sealed(storedText: row.text("sealed"))
        let created = try row.timestamp("created_at")
        let reference = try row.textOrNil("authorization_reference")
        let kept = ownReference(reference, sealed.token)
        sealed.token = sealed.token.anonymous(at: created)
        try transaction.execute(
            """
            UPDATE session SET id_tag = ?, token_uid = ?, sealed = ?, authorization_reference = ?,
            anonymous_at = ? WHERE key = ?
            """, freeMark(row, key, in: transaction), Person.erased, sealed.storedText, kept, now,
            number)
        for bill in try transaction.query(
            "SELECT id, body FROM cdr WHERE session = ?", row.text("id"))
        {
            var cdr = try CDR(storedText: bill.text("body"))
            cdr.session.authorizationReference = ownReference(
                cdr.session.authorizationReference, cdr.session.token)
            cdr.session.token = cdr.session.token.anonymous(at: created)
            cdr.signed = []
            try transaction.execute(
                "UPDATE cdr SET body = ? WHERE id = ?", cdr.storedText, bill.text("id"))
        }
        try dropSigned(of: number, in: transaction)
    }

    /// A booking's own id stays: it joins the bill to what was paid. An eMSP's reference is the eMSP's
    /// name for the driver.
    private static func ownReference(_ reference: String?, _ token: Token) -> String? {
        reference == token.contractID ? reference : nil
    }

    /// What a repeated start of this session is known by. Where another session has it, a random one:
    /// one start in 65,536 of the same instant and register.
    private static func freeMark(
        _ row: Row, _ key: ErasureKey, in transaction: Transaction
    ) throws -> String {
        let (station, connector) = (try row.text("station"), try row.int("connector"))
        let (natural, register) = (try row.int64("natural_at"), try row.int64("meter_start_wh"))
        let mark = key.mark(
            tag: try row.text("id_tag"), station: station, connector: connector, at: natural,
            register: register)
        let taken = try transaction.queryOne(
            """
            SELECT key FROM session WHERE station = ? AND connector = ? AND id_tag = ?
            AND natural_at = ? AND meter_start_wh = ? AND repetition = ?
            """, station, connector, mark, natural, register, row.int("repetition"))
        return taken == nil ? mark : "~" + Hex.encode(RandomBytes.make(8))
    }

    /// A meter's signed record names the card (OCMF: `ID`). The figures it signs are counted from the
    /// readings beside it, so a bill does not change.
    private static func dropSigned(of session: Int64, in transaction: Transaction) throws {
        var after: (at: Int64, finger: Int64) = (.min, .min)
        while true {
            let rows = try transaction.query(
                """
                SELECT at, finger, samples FROM meter_reading WHERE session = ?
                AND (at > ? OR (at = ? AND finger > ?)) ORDER BY at, finger LIMIT ?
                """, session, after.at, after.at, after.finger, readingsAPage)
            for row in rows {
                after = (try row.int64("at"), try row.int64("finger"))
                let samples = try row.text("samples")
                guard let plain = MeterReading.withoutSigned(samples) else { continue }
                try transaction.execute(
                    """
                    UPDATE meter_reading SET samples = ?
                    WHERE session = ? AND at = ? AND finger = ?
                    """, plain, session, after.at, after.finger)
            }
            if rows.count < readingsAPage { return }
        }
    }
}

extension MeterReading {
    /// Stored samples without those that a meter signed; nil where there are none. See `storedSamples`.
    static func withoutSigned(_ samples: String) -> String? {
        let parts = samples.split(separator: "\u{1E}")
        let plain = parts.filter { $0.utf8.last == 0x1F }
        return plain.count == parts.count ? nil : plain.joined(separator: "\u{1E}")
    }
}
